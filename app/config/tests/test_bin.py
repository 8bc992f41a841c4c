"""The processes of the Procfile, started as a server starts them: from another folder."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from config.tests.environments import PRODUCTION

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def environment(**values: str) -> dict[str, str]:
    return {"PATH": PATH, **PRODUCTION, **values}


def ask(address: Path, request: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(address))
        client.sendall(request.replace("\n", "\r\n").encode())
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def activate(address: Path, **values: str) -> subprocess.Popen:
    """Hand over a listening socket as file descriptor 3, as systemd does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen()
    start = (
        f"import os; os.dup2({listener.fileno()}, 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        f"os.execv({str(settings.BASE_DIR / 'bin/web')!r}, ['web'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        env=environment(LISTEN_FDS="1", WEB_CONCURRENCY="1", **values),
        cwd="/",
        pass_fds=[listener.fileno(), 3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    listener.close()
    return process


@pytest.fixture
def address(tmp_path) -> Path:
    return tmp_path / "web.sock"


def test_web_answers_on_the_socket_that_systemd_passes(address):
    process = activate(address, RELEASE="release-1")
    try:
        answer = ask(
            address,
            "GET /health/live/ HTTP/1.0\nHost: api.example.com\nX-Forwarded-Proto: https\n"
            "X-Request-ID: probe-1\n\n",
        )
    finally:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert answer.startswith("HTTP/1.0 200 OK")
    assert "X-Request-ID: probe-1" in answer
    assert process.returncode == 0, errors
    assert all(line.startswith("{") for line in output.splitlines()), output
    assert "probe-1" in output


# What some proxy somewhere sets, and so some server somewhere believes.
FORGED = (
    "X-Forwarded-Host: evil.example\nX-Forwarded-Server: evil.example\nX-Forwarded-Port: 444\n"
    "X-Forwarded-Prefix: /evil\nX-Forwarded-Protocol: ssl\nX-Forwarded-Ssl: on\n"
    "Forwarded: for=192.0.2.1;host=evil.example;proto=https\nX-Real-IP: 192.0.2.1\n"
    "X-Original-URL: /admin/\nX-Rewrite-URL: /admin/\nX-HTTP-Method-Override: DELETE\n"
    "X_Forwarded_Proto: https\nSCRIPT_NAME: /evil\nPATH_INFO: /admin/\n"
)


def test_a_forged_header_changes_nothing(address):
    process = activate(address)
    request = f"GET /health/live/?a=b HTTP/1.0\nHost: api.example.com\n{FORGED}"
    try:
        # Without X-Forwarded-Proto it is plain HTTP, and the redirect shows what Django believes.
        redirect = ask(address, f"{request}\n")
        served = ask(address, f"{request}X-Forwarded-Proto: https\n\n")
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert redirect.startswith("HTTP/1.0 301 ")
    assert "Location: https://api.example.com/health/live/?a=b\r\n" in redirect
    assert served.startswith("HTTP/1.0 200 ")
    assert served.endswith('{"status":"ok"}')


def test_web_with_a_bad_value_stops_before_it_is_ready(address):
    process = activate(address, ALLOWED_HOSTS="https://api.example.com")
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Configuration: ALLOWED_HOSTS " in errors
    assert "Traceback" not in errors + output


@pytest.mark.parametrize(("trusted", "status"), [("*", 200), ("192.0.2.1", 301)])
def test_only_a_trusted_proxy_may_say_that_a_request_came_over_https(trusted, status):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [settings.BASE_DIR / "bin/web"],
        env=environment(PORT=str(port), WEB_CONCURRENCY="1", FORWARDED_ALLOW_IPS=trusted),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + 20
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            headers = {"Host": "api.example.com", "X-Forwarded-Proto": "https"}
            try:
                connection.request("GET", "/health/live/", headers=headers)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < give_up
                time.sleep(0.1)
        assert connection.getresponse().status == status
        connection.close()
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def database_url(db) -> str:
    """The test database, for a process of its own."""
    return PRODUCTION["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"


@pytest.mark.parametrize(
    ("name", "expected"), [("worker", "Cannot connect to amqp"), ("beat", "beat: Waking up in")]
)
def test_tasks_wait_for_a_broker_that_is_down(name, expected, database_url, tmp_path):
    log, folder = tmp_path / "log", tmp_path / "folder"
    folder.mkdir()
    with log.open("w") as output:
        process = subprocess.Popen(
            [settings.BASE_DIR / "bin" / name],
            env=environment(WORKER_NAME="test@%h", DATABASE_URL=database_url, LOG_LEVEL="DEBUG"),
            cwd=folder,
            stdout=output,
            stderr=output,
        )
        give_up = time.monotonic() + 30
        while expected not in log.read_text() and time.monotonic() < give_up:
            time.sleep(0.1)
        running = process.poll() is None
        process.terminate()
        try:
            process.wait(timeout=20)
        finally:
            process.kill()
    assert running, log.read_text()
    assert expected in log.read_text()
    assert list(folder.iterdir()) == []


def test_release_checks_then_migrates(database_url):
    result = subprocess.run(
        [settings.BASE_DIR / "bin/release"],
        env=environment(DATABASE_URL=database_url),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert "No migrations to apply." in result.stdout
