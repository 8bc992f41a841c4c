"""scripts/bootstrap.sh, on a database of its own."""

import getpass
import os
import subprocess

import psycopg2
import pytest
from django.conf import settings
from psycopg2.extensions import parse_dsn

from config.tests.environments import PRODUCTION
from config.tests.test_bin import PATH

SCRIPT = settings.BASE_DIR / "scripts/bootstrap.sh"
SERVER, _, _ = PRODUCTION["DATABASE_URL"].rpartition("/")
URL = f"{SERVER}/bootstrap_test"
# A URL without a role means the one of this name.
ROLE = parse_dsn(URL).get("user") or getpass.getuser()


def ask(url: str, sql: str) -> list[tuple]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def environment(**values: str) -> dict[str, str]:
    return {"PATH": PATH, "DATABASE_URL": URL, **values}


def bootstrap(*arguments: str, stdin: int = subprocess.DEVNULL, **values: str):
    return subprocess.run(
        [SCRIPT, *arguments],
        env=environment(**values),
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def answer(text: str, **values: str):
    """Run it on a terminal, and type the text."""
    terminal, end = os.openpty()
    os.write(terminal, f"{text}\n".encode())
    try:
        return bootstrap(ROLE, stdin=end, **values)
    finally:
        os.close(terminal)
        os.close(end)


@pytest.fixture
def database():
    """One that somebody has worked in."""
    postgres = f"{SERVER}/postgres"
    ask(postgres, "DROP DATABASE IF EXISTS bootstrap_test WITH (FORCE)")
    ask(postgres, "CREATE DATABASE bootstrap_test")
    ask(URL, "CREATE TABLE work (id int)")
    yield
    ask(postgres, "DROP DATABASE IF EXISTS bootstrap_test WITH (FORCE)")


def work_is_there() -> bool:
    return ask(URL, "SELECT to_regclass('work') IS NOT NULL") == [(True,)]


def test_it_recreates_the_database_after_a_yes(database):
    result = answer("yes", ADMIN_PASSWORD="correct horse battery 9")
    assert result.returncode == 0, result.stderr
    assert "Drop the database bootstrap_test" in result.stdout
    assert not work_is_there()
    assert ask(URL, "SELECT count(*) FROM users_user") == [(1001,)]
    assert ask(URL, "SELECT email FROM users_user WHERE is_superuser") == [("admin@example.com",)]


def test_for_scripts_it_does_not_ask(database):
    # Somebody still being connected does not stop it.
    with psycopg2.connect(URL):
        result = bootstrap("--yes", ROLE)
    assert result.returncode == 0, result.stderr
    assert "Type yes" not in result.stdout
    assert "user_ensure_admin --email admin@example.com" in result.stdout
    assert not work_is_there()
    assert ask(URL, "SELECT count(*) FROM users_user") == [(1000,)]


def test_a_password_that_is_refused_fails(database):
    result = bootstrap("--yes", ROLE, ADMIN_PASSWORD="short")
    assert result.returncode == 1
    assert "too short" in result.stderr
    assert "Administrator" not in result.stdout


@pytest.mark.parametrize("text", ["", "YES please"])
def test_anything_but_yes_changes_nothing(database, text):
    result = answer(text)
    assert (result.returncode, result.stderr) == (1, "Nothing was changed.\n")
    assert work_is_there()


@pytest.fixture
def role(database):
    ask(URL, "CREATE ROLE somebody LOGIN PASSWORD 'hush'")
    yield
    ask(URL, "DROP ROLE somebody")


@pytest.mark.parametrize(
    ("arguments", "changes", "sentence"),
    [
        ([], {}, "Usage: scripts/bootstrap.sh [--yes] POSTGRES_USER"),
        (["--force", ROLE], {}, "Usage: "),
        (["--yes", ROLE, "other"], {}, "Usage: "),
        (["--yes", "--yes"], {}, "Usage: "),
        ([ROLE], {}, "This drops the database bootstrap_test, and there is no terminal"),
        (
            ["--yes", ROLE],
            {"DJANGO_SETTINGS_MODULE": "config.django.production"},
            "DJANGO_SETTINGS_MODULE is config.django.production: ",
        ),
        (
            ["--yes", ROLE],
            {"DJANGO_SETTINGS_MODULE": "config.django.base"},
            "DJANGO_SETTINGS_MODULE is config.django.base: ",
        ),
        (["--yes", ROLE], {"DATABASE_URL": "mysql://"}, "Configuration: DATABASE_URL "),
        (["--yes", ROLE], {"DATABASE_URL": f"{SERVER}/postgres"}, "DATABASE_URL names the "),
        (["--yes", "somebody"], {}, f"DATABASE_URL connects as {ROLE}, not as somebody: "),
        (
            ["--yes", ROLE],
            {"DATABASE_URL": f"postgres://{ROLE}:x@127.0.0.1:9/bootstrap_test"},
            f"PostgreSQL does not let {ROLE} in (",
        ),
        (["--yes", ROLE], {"PATH": "/usr/bin:/bin"}, "Django is not installed here: "),
    ],
)
def test_a_refusal_is_a_sentence_and_drops_nothing(database, arguments, changes, sentence):
    result = bootstrap(*arguments, **changes)
    assert result.returncode == 1
    assert result.stderr.startswith(sentence)
    assert "Traceback" not in result.stderr
    assert work_is_there()


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        ("NOCREATEDB", "The role somebody may not create databases. "),
        ("CREATEDB", "PostgreSQL does not let somebody drop the database bootstrap_test ("),
    ],
)
def test_a_role_without_the_right_is_told_what_to_do(role, right, sentence):
    ask(URL, f"ALTER ROLE somebody {right}")
    url = URL.replace(SERVER.rpartition("@")[0], "postgres://somebody:hush")
    result = bootstrap("--yes", "somebody", DATABASE_URL=url)
    assert (result.returncode, result.stderr.startswith(sentence)) == (1, True), result.stderr
    if right == "NOCREATEDB":
        assert (
            "Make the role with `sudo -u postgres createuser --createdb somebody`" in result.stderr
        )
    assert work_is_there()


def test_without_a_database_nothing_is_asked_and_the_connection_may_come_from_libpq(database):
    """As root, say: DATABASE_URL without a server, and PostgreSQL's own variables."""
    ask(f"{SERVER}/postgres", "DROP DATABASE bootstrap_test")
    dsn = parse_dsn(URL)
    names = {"PGHOST": "host", "PGPORT": "port", "PGPASSWORD": "password"}
    given = {name: dsn[key] for name, key in names.items() if key in dsn}
    result = bootstrap(ROLE, DATABASE_URL="postgres:///bootstrap_test", **given)
    assert result.returncode == 0, result.stderr
    assert "Type yes" not in result.stdout
    assert ask(URL, "SELECT count(*) FROM users_user") == [(1000,)]
