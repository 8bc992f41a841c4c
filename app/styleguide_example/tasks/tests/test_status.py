import json
import socket
import time

import pytest
from django.core.management import call_command
from kombu import Connection, Queue

from styleguide_example.tasks import app, selectors
from styleguide_example.tasks.selectors import queue_lengths


@pytest.fixture
def broker(monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    with Connection("memory://") as connection:
        for name, length in (("default", 3), ("unknown", 1)):
            for _ in range(length):
                connection.Producer().publish("task", routing_key=name)
        yield
        for name in ("default", "unknown"):
            Queue(name)(connection.default_channel).purge()


def status(capsys, *options: str) -> str:
    call_command("tasks_status", *options)
    return capsys.readouterr().out


def test_the_status_says_how_many_tasks_wait(broker, capsys):
    assert json.loads(status(capsys, "--json").splitlines()[-1]) == {
        "queues": {"default": 3, "unknown": 1, "dead_letters": 0},
        "reachable": True,
    }
    assert status(capsys).endswith("default 3\nunknown 1\ndead_letters 0\n")


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
@pytest.mark.parametrize("refuses", [True, False])
def test_the_status_is_quick_while_the_broker_refuses_or_is_silent(scheme, refuses, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = 9 if refuses else silent.getsockname()[1]
        monkeypatch.setenv("CELERY_BROKER_URL", f"{scheme}://127.0.0.1:{port}//")
        started = time.monotonic()
        assert queue_lengths(app=app) is None
        assert time.monotonic() - started < 2


def test_the_status_says_that_the_broker_is_away(capsys, monkeypatch):
    monkeypatch.setattr(selectors, "STATUS_SECONDS", 0.1)
    assert json.loads(status(capsys, "--json")) == {"queues": {}, "reachable": False}
    assert status(capsys) == "The broker cannot be reached.\n"
