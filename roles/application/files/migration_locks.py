"""Run what migrates a database, so that nobody waits for it longer than they may, and that it can be tried again.

A migration that waits for a lock keeps all who come later waiting too, so it gives up soon and tries again. Statements
with CONCURRENTLY keep nobody waiting. They run alone and wait long, since giving up leaves an index that is not valid.
Only PostgreSQL has these locks; any other database migrates without.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from migration_lint import CONCURRENTLY, NAME, Database, Statement, label, shown, sql, unquoted

LOCK = zlib.crc32(b"django-migrations")
LOCK_WAIT_SECONDS = 600
PAUSE_SECONDS = 3
LOOK_SECONDS = 0.25
# As psycopg names what PostgreSQL's lock_timeout raises.
LOCKED = "LockNotAvailable"
SESSION_NAME = "migration of a release"
INDEX = re.compile(
    rf"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME})\s+ON\b", re.IGNORECASE
)
EXCEPTION = re.compile(r"(\w+\.)+\w+: |\w+(Error|Exception): ")
IF_NOT_EXISTS = re.compile(r"\bCONCURRENTLY\s+IF\s+NOT\s+EXISTS\b", re.IGNORECASE)
SESSION = """
    SELECT usename, application_name, state, query,
        extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start))::int
    FROM pg_stat_activity WHERE pid = %s
"""
BLOCKERS = """
    SELECT query, blocker FROM pg_stat_activity, unnest(pg_blocking_pids(pid)) AS blocker
    WHERE application_name = %s AND datname = current_database() AND wait_event_type = 'Lock'
"""
HOLDER = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid::bigint = %s
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
LEFTOVER = """
    SELECT format('%%I.%%I', nspname, relname), indisvalid,
        (SELECT pid FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE indrelid = to_regclass(%s) AND relname = %s
"""


class Refused(Exception):
    """Why the step is not taken."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def manage(*words: str) -> list[str]:
    return [sys.executable, "manage.py", "migrate", "--noinput", *words]


def session(database: Database, pid: int) -> str:
    """Who has a lock, for a person. PostgreSQL hides what sessions of other users do."""
    for user, program, state, query, age in database.rows(SESSION, pid):
        about = ", ".join(filter(None, [f"user {user}" if user else "", program, state])) or "of another user"
        since = "" if age is None else f" for {age} s"
        if query == "<insufficient privilege>":
            return f"session {pid} ({about}), of which only PostgreSQL's superuser sees more"
        return f"session {pid} ({about}{since}): {shown(query or '', 200)}"
    return f"session {pid}"


@contextlib.contextmanager
def alone() -> Iterator[Any]:
    """Hold the database's lock for migrations on a connection of its own, which is given."""
    from django.db import connections

    holder = connections.create_connection("default")
    if holder.vendor != "postgresql":
        yield holder
        return
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    database, waited = Database(holder), ""
    try:
        while not database.rows("SELECT pg_try_advisory_lock(%s)", LOCK)[0][0]:
            waited = next((session(database, pid) for (pid,) in database.rows(HOLDER, LOCK)), waited)
            if time.monotonic() > deadline:
                raise Refused(f"Another run migrates this database: wait for it, or end {waited or 'its session'}.")
            say(f"Another run migrates this database; waiting for {waited or 'it'}.")
            time.sleep(PAUSE_SECONDS)
        yield holder
    finally:
        holder.close()


def blocker(holder: Any) -> tuple[str, int] | None:
    """What the running migration waits for, if it waits, and the number of the session that it waits for."""
    from django.db import DatabaseError

    if holder.vendor == "postgresql":
        with contextlib.suppress(DatabaseError):
            database = Database(holder)
            for query, pid in database.rows(BLOCKERS, SESSION_NAME):
                return f"{shown(query)} waited for {session(database, pid)}", pid
    return None


def watched(holder: Any, command: list[str], lock_seconds: int | None = None) -> tuple[int, str, str]:
    """Run a command that migrates: its code, what it said, and what it last waited for."""
    options = os.environ.get("PGOPTIONS", "")
    if lock_seconds:
        options += f" -c lock_timeout={lock_seconds * 1000}"
    waited: tuple[str, int] | None = None
    with tempfile.TemporaryFile("w+") as output:
        environment = {**os.environ, "PGOPTIONS": options, "PGAPPNAME": SESSION_NAME}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        while process.poll() is None:
            found = blocker(holder)
            if found and (waited is None or found[1] != waited[1]):
                say(f"Waiting: {found[0]}")
            waited = found or waited
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
        output.seek(0)
        said = output.read().rstrip()
    say(said)
    reason = (
        f"{waited[0]}. End it with `SELECT pg_terminate_backend({waited[1]})`"
        if waited
        else "Something holds the table for long: look at pg_stat_activity"
    )
    return process.returncode, said, f"{reason}, or try at a quieter time."


def failure(command: list[str], said: str) -> str:
    """That a command failed, with its last exception, or its last line."""
    lines = [line for line in said.splitlines() if line.strip()] or ["it said nothing"]
    why = next(filter(EXCEPTION.match, reversed(lines)), lines[-1])
    return f"`{' '.join(command)}` failed: {why.strip().rstrip('.')}."


def run(holder: Any, command: list[str]) -> None:
    """Run a command that migrates, again when it could not get a lock in time: it must not queue up in front of the
    requests that use the table."""
    attempts = int(os.environ.get("ATTEMPTS", "5"))
    for attempt in range(1, attempts + 1):
        code, said, reason = watched(holder, command)
        if code == 0:
            return
        if LOCKED not in said:
            raise Refused(failure(command, said))
        if attempt < attempts:
            say(f"A migration waited for a lock in vain; attempt {attempt} of {attempts}.")
            time.sleep(PAUSE_SECONDS)
    raise Refused(f"A migration did not get the lock it needs in {attempts} attempts. {reason}")


def leftovers(holder: Any, statement: Statement) -> list[Any]:
    """The index that a statement would create, if it is there: its name, whether it is valid, and who builds it."""
    found = INDEX.match(statement.text)
    return Database(holder).rows(LEFTOVER, statement.table or "", unquoted(found[1])) if found else []


def drop(holder: Any, name: str) -> None:
    from django.db import DatabaseError

    say(f"Removing the index {name}, which an earlier try left and which is not valid.")
    command = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    try:
        with holder.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'")
            cursor.execute(command)
    except DatabaseError as error:
        raise Refused(
            f"The index {name}, which an earlier try left and which is not valid, cannot be removed: "
            f"{' '.join(str(error).split())}. Remove it with `{command}`."
        ) from error


def clear(holder: Any, migration: Any, statement: Statement) -> None:
    """Remove the index that an earlier try of a statement left, where it is not valid; refuse what cannot go."""
    for name, is_valid, builder in leftovers(holder, statement):
        if builder:
            raise Refused(f"The index {name} is being built by session {builder}: wait for it, or end that session.")
        if is_valid and not IF_NOT_EXISTS.search(statement.text):
            raise Refused(
                f"The index {name} is there, but {label(migration)}, which creates it, is not recorded. If it is as "
                f"wanted, record that with `manage.py migrate {migration.app_label} {migration.name} --fake`; "
                f"if not, remove it with `DROP INDEX CONCURRENTLY {name}`."
            )
        if not is_valid:
            drop(holder, name)


def run_concurrently(holder: Any, migration: Any, command: list[str], statements: Sequence[Statement]) -> None:
    """Run a migration that keeps nobody waiting, with more patience."""
    for statement in statements:
        clear(holder, migration, statement)
    code, said, reason = watched(holder, command, LOCK_WAIT_SECONDS)
    if code == 0:
        return
    left = [name for each in statements for name, is_valid, _ in leftovers(holder, each) if not is_valid]
    about = "".join(
        f" It left the index {name}, which is not valid and costs time: the next try removes it, and so does "
        f"`DROP INDEX CONCURRENTLY {name}`."
        for name in left
    )
    if LOCKED in said:
        raise Refused(f"A migration did not get the lock it needs in {LOCK_WAIT_SECONDS} s. {reason}{about}")
    raise Refused(failure(command, said) + about)


def concurrent(executor: Any, migration: Any, backwards: bool) -> list[Statement]:
    """The statements of a migration that are all CONCURRENTLY, on tables that are there; empty for any other."""
    if migration.atomic or executor.connection.vendor != "postgresql":
        return []
    try:
        texts = sql(executor.loader, migration, backwards)
    # The project's own code; what cannot be told is run like any other.
    except Exception:
        return []
    statements = [Statement(migration.app_label, label(migration), text) for text in texts]
    database = Database(executor.connection)
    is_concurrent = all(CONCURRENTLY.search(each.text) for each in statements)
    is_new = all(each.table and database.size(each.table) is None for each in statements)
    return statements if is_concurrent and not is_new else []


def goal(executor: Any, migration: Any, backwards: bool) -> tuple[str, str]:
    """What `migrate` is given to stop behind a migration, or before it on the way back."""
    app, name = migration.app_label, migration.name
    if not backwards:
        return app, name
    parents = [each.key for each in executor.loader.graph.node_map[app, name].parents]
    return app, next((parent for of, parent in parents if of == app), "zero")


def apply(holder: Any, executor: Any, steps: list[tuple[Any, bool]], commands: list[list[str]]) -> None:
    """Take steps in order: what is concurrent alone, what lies before it together, and then all by the commands."""
    before: dict[str, str] = {}
    for migration, backwards in steps:
        app, name = goal(executor, migration, backwards)
        statements = concurrent(executor, migration, backwards)
        if not statements:
            before[app] = name
            continue
        for each in before.items():
            run(holder, manage(*each))
        before = {}
        run_concurrently(holder, migration, manage(app, name), statements)
    for command in commands:
        run(holder, command)
