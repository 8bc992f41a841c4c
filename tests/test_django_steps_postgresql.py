"""What a release asks of a real PostgreSQL: locks, and migrations that break what runs."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import REMOVE, DjangoProject, Refused
from django_release import LOCK

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


def psql(server: list[str], text: str) -> None:
    with session(server) as process:
        process.communicate(text)


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
    with pytest.raises(Refused, match="did not get the lock it needs in 2 attempts"):
        project.take("migrate", ATTEMPTS="2", PGOPTIONS="-c lock_timeout=200")
    assert time.monotonic() - began < 30
    assert "A migration waited for a lock in vain; attempt 1 of 2." in project.output
    assert project.take("plan")["pending"] == ["goods.0003_remove"]


def test_only_one_run_at_a_time_migrates_a_database(
    project: DjangoProject, holding: Callable[[str], Callable[[], None]]
) -> None:
    release = holding(f"SELECT pg_advisory_xact_lock({LOCK})")
    project.timeout_seconds = 2
    with pytest.raises(subprocess.TimeoutExpired):
        project.take("migrate")
    project.timeout_seconds = 60
    assert project.take("plan")["applied"] == []
    release()
    assert project.take("migrate")["applied"] == ["goods.0001_initial", "goods.0002_add"]
