"""What a release asks of a real PostgreSQL: locks, and migrations that break what runs."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import ADD, REMOVE, DjangoProject, Refused
from migration_locks import LOCK

SERVER = 'echo "server $PGHOST $PGPORT $PGUSER $PGPASSWORD"; cat >/dev/null'


@pytest.fixture(scope="module")
def server() -> Iterator[list[str]]:
    """Host, port, user and password of a server that is gone afterwards."""
    # A port of our own choice: two servers that start at once would take the same one.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["pg_virtualenv", "-t", "-c", f"--port={port}", "sh", "-c", SERVER]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    answer = next((line for line in process.stdout if line.startswith("server ")), None)
    assert answer, "PostgreSQL did not start."
    yield answer.split()[1:]
    process.communicate()


@pytest.fixture
def project(tmp_path: Path, server: list[str]) -> DjangoProject:
    host, port, user, password = server
    psql(server, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    database = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": user, "PASSWORD": password}
    return DjangoProject(tmp_path, {**database, "HOST": host, "PORT": port})


def session(server: list[str]) -> subprocess.Popen[str]:
    host, port, user, password = server
    environment = {"PATH": "/usr/bin:/bin", "PGHOST": host, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password}
    words = ["psql", "--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname=postgres"]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment)


def psql(server: list[str], text: str) -> str:
    with session(server) as process:
        return process.communicate(text)[0].strip()


@pytest.fixture
def holding(server: list[str]) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Somebody who holds a lock until told to let it go."""
    sessions: list[subprocess.Popen[str]] = []

    def hold(text: str) -> Callable[[], None]:
        process = session(server)
        sessions.append(process)
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"BEGIN;\n{text};\n\\echo held\n")
        process.stdin.flush()
        assert any(line == "held\n" for line in process.stdout)
        return process.stdin.close

    yield hold
    for process in sessions:
        process.terminate()
        process.wait()


def test_what_would_break_the_running_release_is_found(project: DjangoProject) -> None:
    project.take("migrate")
    project.migration("0003_remove", REMOVE, after="0002_add")
    (finding,) = project.take("plan", LINTED_APPS="goods")["findings"]
    assert finding["refused"]
    assert finding["text"] == (
        'goods.0003_remove: `ALTER TABLE "goods_item" DROP COLUMN "name" CASCADE` drops a column: '
        "first release code that does not use it, then drop it."
    )
    # An app that the running release does not have, it cannot miss.
    assert project.take("plan", LINTED_APPS="other")["findings"] == []


def test_a_migration_gives_up_that_would_queue_in_front_of_requests(
    project: DjangoProject, holding: Callable[[str], Callable[[], None]]
) -> None:
    project.take("migrate")
    project.migration("0003_remove", REMOVE, after="0002_add")
    holding("SELECT * FROM goods_item")
    began = time.monotonic()
    held_up = (
        r"did not get the lock it needs in 2 attempts\. `ALTER TABLE .goods_item. DROP COLUMN .name. CASCADE` waited "
        r"for session (\d+) \(user postgres, psql, idle in transaction for \d+ s\): `SELECT \* FROM goods_item`\. "
        r"End it with `SELECT pg_terminate_backend\(\1\)`, or try at a quieter time\."
    )
    with pytest.raises(Refused, match=held_up):
        project.take("migrate", ATTEMPTS="2", PGOPTIONS="-c lock_timeout=800")
    assert time.monotonic() - began < 30
    assert "A migration waited for a lock in vain; attempt 1 of 2." in project.output
    assert project.take("plan")["pending"] == ["goods.0003_remove"]


def test_only_one_run_at_a_time_migrates_a_database(
    project: DjangoProject, holding: Callable[[str], Callable[[], None]]
) -> None:
    release = holding(f"SELECT pg_advisory_xact_lock({LOCK})")
    project.timeout_seconds = 2
    with pytest.raises(subprocess.TimeoutExpired) as waited:
        project.take("migrate")
    assert b"Another run migrates this database; waiting for session" in (waited.value.stderr or b"")
    project.timeout_seconds = 60
    assert project.take("plan")["applied"] == []
    release()
    assert project.take("migrate")["applied"] == ["goods.0001_initial", "goods.0002_add"]


# --- statements with CONCURRENTLY

FIELD = 'AddIndexConcurrently("item", models.Index(fields=["price"], name="goods_price"))'
CONCURRENT = "CREATE INDEX CONCURRENTLY goods_price ON goods_item (price)"
# Who reads alone does not keep an index from being built.
WRITES = "LOCK TABLE goods_item IN ROW EXCLUSIVE MODE"
UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS goods_price ON goods_item (price)"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('goods_price')"


@pytest.fixture
def indexed(project: DjangoProject) -> DjangoProject:
    """A project whose last migration is still to add an index, with one behind it."""
    project.take("migrate")
    project.migration("0003_index", FIELD, after="0002_add", atomic=False)
    project.migration("0004_more", ADD.replace("price", "size"), after="0003_index")
    return project


def test_an_index_waits_for_a_transaction_that_is_open(
    indexed: DjangoProject, server: list[str], holding: Callable[[str], Callable[[], None]]
) -> None:
    threading.Timer(4, holding(WRITES)).start()
    done = indexed.take("migrate", ATTEMPTS="1", PGOPTIONS="-c lock_timeout=200")
    assert done == {"applied": ["goods.0003_index", "goods.0004_more"]}
    assert "Waiting: `CREATE INDEX CONCURRENTLY" in indexed.output
    assert "idle in transaction" in indexed.output
    assert psql(server, VALID) == "t"


def test_an_index_that_an_earlier_try_left_is_made_again(
    indexed: DjangoProject, server: list[str], holding: Callable[[str], Callable[[], None]]
) -> None:
    release = holding(WRITES)
    psql(server, f"SET lock_timeout = 200;\n{CONCURRENT}")
    release()
    assert psql(server, VALID) == "f"
    indexed.take("migrate")
    assert "Removing the index public.goods_price, which an earlier try left" in indexed.output
    assert psql(server, VALID) == "t"


def test_an_index_that_cannot_be_built_is_named_and_made_later(project: DjangoProject, server: list[str]) -> None:
    project.take("migrate")
    project.migration("0003_index", f'migrations.RunSQL("{UNIQUE}")', after="0002_add", atomic=False)
    psql(server, "INSERT INTO goods_item (name, price) VALUES ('a', 1), ('b', 1)")
    with pytest.raises(
        Refused, match=r"failed: .*IntegrityError: .* It left .*so does `DROP INDEX CONCURRENTLY public\.goods_price`"
    ):
        project.take("migrate")
    assert psql(server, VALID) == "f"
    psql(server, "UPDATE goods_item SET price = id")
    project.take("migrate")
    assert psql(server, VALID) == "t"


def test_a_valid_index_that_nobody_recorded_is_named_with_the_commands(
    indexed: DjangoProject, server: list[str]
) -> None:
    psql(server, CONCURRENT)
    with pytest.raises(Refused, match=r"migrate goods 0003_index --fake`; .* CONCURRENTLY public\.goods_price`"):
        indexed.take("migrate")
    assert psql(server, VALID) == "t"


def test_an_index_that_is_being_built_is_left_alone(
    indexed: DjangoProject, server: list[str], holding: Callable[[str], Callable[[], None]]
) -> None:
    release = holding(WRITES)
    builder = session(server)
    assert builder.stdin
    builder.stdin.write(f"{CONCURRENT};\n")
    builder.stdin.close()
    deadline = time.monotonic() + 20
    while psql(server, VALID) != "f" and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(Refused, match=r"goods_price is being built by session \d+: wait for it"):
        indexed.take("migrate")
    release()
    builder.wait()
    assert psql(server, VALID) == "t"


def test_an_index_is_removed_behind_a_transaction_that_is_open(
    indexed: DjangoProject, server: list[str], holding: Callable[[str], Callable[[], None]]
) -> None:
    indexed.take("migrate")
    indexed.take("reverse", TARGETS="goods=0003_index")
    threading.Timer(4, holding(WRITES)).start()
    done = indexed.take("reverse", TARGETS="goods=0002_add", ATTEMPTS="1", PGOPTIONS="-c lock_timeout=200")
    assert done == {"reversed": ["goods.0003_index"]}
    assert psql(server, VALID) == ""
