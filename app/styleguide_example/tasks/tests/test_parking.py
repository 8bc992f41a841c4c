import signal
from datetime import datetime, timedelta, timezone
from threading import Event

import pytest
from celery import Celery
from kombu import Connection, Queue

from styleguide_example.tasks.parking import message_park, messages_return
from styleguide_example.tasks.selectors import queue_length
from styleguide_example.tasks.tests.processes import Process, messages

TASK = "reports.send"


def release(*, tasks: str = "") -> Celery:
    app = Celery(set_as_current=False, task_default_queue="default")
    for name in tasks.split():
        app.task(name=name, shared=False)(_run)
    return app


def _run(text: str = "") -> None:
    pass


@pytest.fixture
def connection(monkeypatch):
    # Celery prefers the variable to anything that a program says.
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    with Connection("memory://") as connection:
        yield connection
        for name in ("default", "urgent", "unknown"):
            Queue(name)(connection.default_channel).purge()


def get(connection, name: str):
    """The next message of a queue, taken out of it."""
    return Queue(name)(connection.default_channel).get(no_ack=True)


def send(connection, **options) -> None:
    """Send the task of another release, and park it."""
    app = release(tasks=TASK)
    app.tasks[TASK].apply_async(("argument",), **{"task_id": "id-1", "queue": "urgent"} | options)
    message = Queue("urgent")(connection.default_channel).get()
    assert message is not None
    message_park(app=release(), message=message)
    message.ack()


def lengths(connection) -> list[int]:
    names = ("default", "urgent", "unknown")
    return [queue_length(connection=connection, name=name) for name in names]


def look(connection, *, tasks: str = "") -> None:
    messages_return(app=release(tasks=tasks), connection=connection, stopping=Event())


def test_a_parked_task_returns_as_it_was_to_a_release_that_has_it(connection):
    app = release(tasks=TASK)
    app.tasks[TASK].apply_async(
        ("argument",), task_id="id-1", queue="urgent", priority=3, headers={"mark": "m"}
    )
    sent = get(connection, "urgent")
    send(connection, priority=3, headers={"mark": "m"})
    assert lengths(connection) == [0, 0, 1]
    look(connection, tasks=TASK)
    assert lengths(connection) == [0, 1, 0]
    back = get(connection, "urgent")
    assert back.payload == sent.payload
    assert back.headers | {"origin": ""} == sent.headers | {"origin": ""}
    kept = ("correlation_id", "priority", "delivery_mode", "delivery_info")
    assert [back.properties[name] for name in kept] == [sent.properties[name] for name in kept]


def test_a_compressed_task_survives(connection):
    send(connection, compression="gzip")
    look(connection, tasks=TASK)
    assert get(connection, "urgent").payload[0] == ["argument"]


def test_a_release_leaves_what_it_does_not_have(connection):
    send(connection, task_id="id-1")
    send(connection, task_id="id-2")
    look(connection, tasks="another.task")
    assert lengths(connection) == [0, 0, 2]
    look(connection, tasks=TASK)
    assert lengths(connection) == [0, 2, 0]


def test_what_is_expired_is_not_kept_for_ever(connection):
    now = datetime.now(timezone.utc)
    send(connection, task_id="id-1", expires=now + timedelta(hours=1))
    send(connection, task_id="id-2", expires=now - timedelta(seconds=1))
    look(connection)
    assert lengths(connection) == [0, 0, 1]
    assert get(connection, "unknown").headers["id"] == "id-1"


def test_what_an_operator_put_there_goes_to_the_default_queue(connection):
    app = release(tasks=TASK)
    app.tasks[TASK].apply_async(task_id="id-1", queue="unknown")
    look(connection, tasks=TASK)
    assert lengths(connection) == [1, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_a_worker_parks_what_it_does_not_know_and_the_next_release_runs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "filesystem://")
    folder = tmp_path / "broker"
    folder.mkdir()
    options = {"data_folder_in": folder, "data_folder_out": folder}
    app = release(tasks=TASK)
    app.conf.broker_transport_options = options | {"control_folder": folder / "control"}
    app.tasks[TASK].apply_async(task_id="id-1")

    def worker(**options: str) -> Process:
        command = ("worker", "--concurrency=1", "--without-gossip", "--without-mingle")
        return Process(folder, *command, **options)

    old = worker()
    try:
        old.wait_for("task_parked")
    finally:
        # Left running, it may be handed the returned task each time, and park it again.
        old.stop(signal.SIGKILL)
    assert len(messages(folder, queue="unknown")) == 1
    new = worker(tasks=TASK)
    try:
        new.wait_for("task_returned")
        new.wait_for("task_succeeded")
    finally:
        new.stop(signal.SIGKILL)
    assert messages(folder, queue="unknown") == messages(folder, queue="default") == []
    assert "argument" not in old.log.read_text()
