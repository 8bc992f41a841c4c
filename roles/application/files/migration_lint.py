"""What pending migrations would do to the release that runs until the switch, judged from their SQL by squawk.

Two kinds of harm are told: what the running release cannot live with, and what stops everybody who writes to a table.
The second counts for as much as the table has on this host. Only PostgreSQL's SQL can be judged.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# A table of this size is read in about a second, while all who write to it wait.
REFUSED_BYTES = 100 * 2**20
NOTED_BYTES = 10 * 2**20

# By squawk's rules: what the running release cannot live with, and what to do instead.
BREAKS = {
    "adding-not-nullable-field": "forbids NULL, which the running release may write: first release code that never "
    "does, with AddConstraintNotValid and, in a migration behind it, ValidateConstraint",
    "adding-required-field": "adds a column that must have a value, which the running release does not give: "
    "give it db_default, or null=True",
    "ban-concurrent-index-creation-in-transaction": "cannot run in a transaction: set atomic = False",
    "ban-drop-column": "drops a column: first release code that does not use it, then drop it",
    "ban-drop-default": "leaves a column that must have a value without a default, and the running release gives it "
    "none: use db_default, or null=True",
    "ban-drop-table": "drops a table: first release code that does not use it, then drop it",
    "changing-column-type": "changes a type, which the running release may not understand: add a column beside it, "
    "and move to that",
    "disallowed-unique-constraint": "forbids duplicates, which the running release may write: first release code that "
    "writes none",
    "renaming-column": "renames a column: change its field's name alone, with db_column",
    "renaming-table": "renames a table: change its model's name alone, with db_table",
}
# What stops those who write for as long as it takes, and how it is written without that. The first that fits is told.
BLOCKS = {
    "adding-foreign-key-constraint": "use db_constraint=False, then add the constraint with RunSQL as NOT VALID and, "
    "in a migration behind it, VALIDATE CONSTRAINT",
    "disallowed-unique-constraint": "use RunSQL with CREATE UNIQUE INDEX CONCURRENTLY in a migration with "
    "atomic = False, then ADD CONSTRAINT ... UNIQUE USING INDEX, as database_operations of SeparateDatabaseAndState",
    "adding-serial-primary-key-field": "use RunSQL with CREATE UNIQUE INDEX CONCURRENTLY, then ADD PRIMARY KEY USING "
    "INDEX",
    "adding-not-nullable-field": "use AddConstraintNotValid with a check that it is not NULL and, in a migration "
    "behind it, ValidateConstraint; then NOT NULL takes no time",
    "constraint-missing-not-valid": "use AddConstraintNotValid and, in a migration behind it, ValidateConstraint",
    "require-concurrent-index-creation": "use AddIndexConcurrently in a migration with atomic = False; a field has "
    "db_index=False beside it",
    "require-concurrent-reindex": "use REINDEX ... CONCURRENTLY",
    "adding-field-with-default": "add it with null=True and without the default, fill it in batches, then set both",
    "changing-column-type": "add a column beside it, fill it in batches, and move to that",
    "prefer-repack": "use pg_repack",
}
NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
TABLE = re.compile(
    r"\s*(?:ALTER\s+TABLE|DROP\s+TABLE|REINDEX\s+(?:TABLE|INDEX)|CLUSTER|VACUUM\s+FULL"
    r"|CREATE\s+(?:UNIQUE\s+)?INDEX\s.*?\sON)"
    rf"\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?({NAME}(?:\.{NAME})?)",
    re.IGNORECASE | re.DOTALL,
)
COLUMN = re.compile(rf"\b(ADD|ALTER|DROP|RENAME)\s+COLUMN\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?({NAME})", re.IGNORECASE)
NEW_TYPE = re.compile(r"\bTYPE\s+([a-z ]+?)\s*(?:\(([\d, ]+)\))?\s*(?:USING\b.*)?;?\s*$", re.IGNORECASE | re.DOTALL)
# As Django writes an operation of Python code, in place of its SQL.
PYTHON = "-- THIS OPERATION CANNOT BE WRITTEN AS SQL"
COMMENT = re.compile("--")
DATA = re.compile(r"\s*(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
CONCURRENTLY = re.compile(r"\bCONCURRENTLY\b", re.IGNORECASE)
INTEGERS = ("smallint", "integer", "bigint")

SIZE = """
    WITH RECURSIVE tree(relation) AS (
        SELECT to_regclass(%s)::oid UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = relation
    ) SELECT sum(pg_table_size(relation)) FROM tree
"""
TYPE = """
    SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped
"""
CHECKS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(%s) AND convalidated"


def label(migration: Any) -> str:
    return f"{migration.app_label}.{migration.name}"


def unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def shown(statement: str, length: int = 120) -> str:
    """A statement on one line, as long as a message may have it."""
    text = " ".join(statement.split()).rstrip(";")
    return f"`{text if len(text) <= length else text[:length] + '...'}`"


# Two that read alike are two.
@dataclass(frozen=True, eq=False)
class Statement:
    """One statement of a migration."""

    app: str
    migration: str
    text: str

    @property
    def table(self) -> str | None:
        """The table that it changes, as PostgreSQL reads names; None where that cannot be told."""
        found = TABLE.match(self.text)
        return found[1] if found else None

    def column(self, verb: str) -> str | None:
        return next((unquoted(name) for does, name in COLUMN.findall(self.text) if does.upper() == verb), None)


def sql(loader: Any, migration: Any, backwards: bool = False) -> list[str]:
    """The statements of a migration, as far as they can be told before it runs; PYTHON where that is code."""
    import sqlparse

    collected = loader.collect_sql([(migration, backwards)])
    entries = [text for text in collected if text == PYTHON or not all(map(COMMENT.match, text.splitlines()))]
    return [text for entry in entries for text in sqlparse.split(entry) if text.strip(" ;\n")]


class Database:
    """What the database of this host has now."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, query: str, *values: object) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def size(self, table: str) -> int | None:
        """What a table has, with its partitions; None for one that is not there yet."""
        size = self.rows(SIZE, table)[0][0]
        return None if size is None else int(size)

    def column(self, table: str, column: str) -> tuple[str, bool]:
        """The type of a column, and whether it forbids NULL; where there is none, whatever is the worse."""
        return next(iter(self.rows(TYPE, table, column)), ("", True))

    def never_null(self, table: str, column: str) -> bool:
        """Whether a check that is valid already keeps NULL out."""
        checks = {definition for (definition,) in self.rows(CHECKS, table)}
        return any(f"CHECK (({name} IS NOT NULL))" in checks for name in (column, f'"{column}"'))


def widening(old: str, new: str) -> str:
    """Whether a new type takes all of the old: "free" where PostgreSQL keeps the rows, "rewrite" or "" if not."""
    found = NEW_TYPE.search(new)
    if not found:
        return ""
    name, length = found[1].lower(), found[2]
    if name in INTEGERS and old in INTEGERS:
        return "rewrite" if INTEGERS.index(name) > INTEGERS.index(old) else ""
    text = re.fullmatch(r"character varying(?:\((\d+)\))?", old)
    if text and (name == "text" or (name in ("varchar", "character varying") and not length)):
        return "free"
    if text and text[1] and name in ("varchar", "character varying"):
        return "free" if int(length) >= int(text[1]) else ""
    return ""


@dataclass(frozen=True)
class Judge:
    """Weighs what squawk finds. `apps` are those of the running release, `earlier` all statements before one."""

    database: Database
    apps: list[str]

    def is_harmless(self, rule: str, statement: Statement, earlier: list[Statement]) -> bool:
        """Whether squawk cannot know that this is safe by design."""
        table, text = statement.table, statement.text
        if table and self.database.size(table) is None:
            return True
        if rule in ("adding-foreign-key-constraint", "constraint-missing-not-valid"):
            # A new column is NULL everywhere, so PostgreSQL has nothing to look up.
            return bool(statement.column("ADD")) and "DEFAULT " not in text.upper().split("REFERENCES")[0]
        column = statement.column("ALTER")
        if not table or not column:
            return False
        if rule == "ban-drop-default":
            added = [each.text for each in earlier if each.table == table and each.column("ADD") == column]
            return "NOT NULL" not in added[-1].upper() if added else not self.database.column(table, column)[1]
        if rule == "adding-not-nullable-field":
            return self.database.never_null(table, column)
        if rule == "changing-column-type":
            return widening(self.database.column(table, column)[0], text) == "free"
        return False

    def breaks(self, rule: str, statement: Statement) -> bool:
        """Whether the running release cannot live with it; what it does not have, it cannot miss."""
        if statement.app not in self.apps or rule not in BREAKS:
            return False
        if rule == "disallowed-unique-constraint":
            return statement.column("ADD") is None
        table, column = statement.table, statement.column("ALTER")
        if rule == "changing-column-type" and table and column:
            return not widening(self.database.column(table, column)[0], statement.text)
        return True

    def findings(self, rules: list[str], statement: Statement, earlier: list[Statement]) -> Iterator[dict[str, Any]]:
        rules = [rule for rule in rules if not self.is_harmless(rule, statement, earlier)]
        start = f"{statement.migration}: {shown(statement.text)}"
        for rule in rules:
            if self.breaks(rule, statement):
                yield {"text": f"{start} {BREAKS[rule]}.", "refused": True}
        size = self.database.size(statement.table) if statement.table else None
        blocking = next((rule for rule in BLOCKS if rule in rules), None)
        if blocking and size is not None and size >= NOTED_BYTES:
            stops = f"stops all who write to {statement.table} until it is done, with {size // 2**20} MiB in it"
            yield {"text": f"{start} {stops}: {BLOCKS[blocking]}.", "refused": size >= REFUSED_BYTES}


def run_squawk(migrations: list[tuple[bool, list[Statement]]], version: str) -> list[tuple[Statement, str]]:
    """Each statement with a rule that it breaks. Statements in a transaction of their migration are judged so."""
    lines: list[Statement | None] = []
    text = ""
    for is_atomic, statements in migrations:
        for part in ["BEGIN;" if is_atomic else "", *statements, "COMMIT;" if is_atomic else ""]:
            written = part if isinstance(part, str) else f"{part.text.rstrip().rstrip(';')};"
            text += f"{written}\n"
            lines += [None if isinstance(part, str) else part] * (written.count("\n") + 1)
    # Not the configuration of the project, which may be for other servers.
    words = [os.environ["SQUAWK"], "--reporter=json", "--config=/dev/null", "--include=prefer-repack"]
    done = subprocess.run([*words, f"--pg-version={version}"], input=text, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise OSError(done.stderr.strip())
    found = [(lines[each["line"]], each["rule_name"]) for each in json.loads(done.stdout)]
    return [(statement, rule) for statement, rule in dict.fromkeys(found) if statement]


def unrepeatable(migration: Any, statements: list[Statement]) -> Iterator[dict[str, Any]]:
    """One that cannot be tried again when it ends in the middle, as it does when it waits for a lock in vain."""
    is_told = any(each.text != PYTHON for each in statements)
    is_concurrent = all(CONCURRENTLY.search(each.text) for each in statements)
    if not migration.atomic and len(statements) > 1 and is_told and not is_concurrent:
        text = (
            "has atomic = False and several statements, so it cannot be tried again when it ends in the middle: "
            "make a migration of each, with atomic = False only where it says CONCURRENTLY"
        )
        yield {"text": f"{label(migration)}: {text}.", "refused": True}


def held(database: Database, statements: list[Statement]) -> Iterator[dict[str, Any]]:
    """A transaction that changes a table and goes on with data, until which all who use the table wait."""
    changed: dict[str, int] = {}
    for statement in statements:
        if changed and (statement.text == PYTHON or DATA.match(statement.text)):
            table, largest = max(changed.items(), key=lambda item: item[1])
            text = (
                f"changes {table}, with {largest // 2**20} MiB in it, and then data in one transaction, so all who use "
                "the table wait until that is done: make two migrations of it"
            )
            yield {"text": f"{statement.migration}: {text}.", "refused": largest >= REFUSED_BYTES}
            return
        size = database.size(statement.table) if statement.table else None
        if statement.table and size is not None and size >= NOTED_BYTES:
            changed[statement.table] = size


def note(text: str) -> dict[str, Any]:
    return {"text": text, "refused": False}


def lint(executor: Any, migrations: list[Any]) -> list[dict[str, Any]]:
    """What is to be refused of these, and what is only to be said; nothing where no release runs yet."""
    apps = os.environ.get("LINTED_APPS", "").split()
    connection = executor.connection
    if not migrations or not apps:
        return []
    if connection.vendor != "postgresql":
        return [note(f"Migrations are not judged: only those of PostgreSQL can be, and this is {connection.vendor}.")]
    database, findings = Database(connection), list[dict[str, Any]]()
    told: list[tuple[bool, list[Statement]]] = []
    for migration in migrations:
        try:
            texts = sql(executor.loader, migration)
        # Operations are the project's own code, and some read what the migrations before them have yet to make.
        except Exception as error:
            findings.append(note(f"{label(migration)} is not judged: its SQL cannot be told before it runs ({error})."))
            continue
        statements = [Statement(migration.app_label, label(migration), text) for text in texts]
        told.append((migration.atomic, statements))
        if migration.app_label in apps:
            findings += unrepeatable(migration, statements)
        if migration.atomic:
            findings += held(database, statements)
    everything = [statement for _, statements in told for statement in statements]
    version = "{}.{}".format(*divmod(connection.pg_version, 10000))
    try:
        found = run_squawk(told, version)
    except (OSError, ValueError) as error:
        return [*findings, note(f"Migrations are not judged: squawk did not run ({error}).")]
    judge = Judge(database, apps)
    for position, statement in enumerate(everything):
        rules = [rule for each, rule in found if each is statement]
        findings += judge.findings(rules, statement, everything[:position])
    return findings
