import signal
import time
from itertools import pairwise

import pytest
from django.db import connection, connections
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from styleguide_example.tasks import app
from styleguide_example.tasks.beat import LOCK_KEY, LockedScheduler, LockLost, SessionLock
from styleguide_example.tasks.tests.processes import Process, messages, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "broker"
    folder.mkdir()
    return folder


@pytest.fixture
def beat(folder):
    """Start one, whose two tasks are due every second."""
    started = []

    def start() -> Process:
        started.append(Process(folder, "beat", SESSION_CLEANUP_INTERVAL_SECONDS="1"))
        return started[-1]

    yield start
    for process in started:
        process.stop(signal.SIGKILL)


@pytest.fixture
def lock():
    lock = SessionLock()
    yield lock
    lock.release()


def query(sql: str):
    with connection.cursor() as cursor:
        cursor.execute(sql, [LOCK_KEY])
        return cursor.fetchall()


def end_connection_of_lock() -> None:
    query("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = %s")


def sent(folder) -> dict[str, list[float]]:
    """When each periodic task was sent, in seconds."""
    times: dict[str, list[float]] = {
        name: [] for name in PeriodicTask.objects.values_list("name", flat=True)
    }
    for message in messages(folder, queue="default"):
        times[message["headers"]["periodic_task_name"]].append(message["sent_at"])
    return times


def test_a_second_beat_waits_and_takes_over_when_the_first_is_killed(beat, folder):
    first = beat()
    first.wait_for("beat_leads")
    second = beat()
    second.wait_for("beat_stands_by")
    wait_until(lambda: min(map(len, sent(folder).values())) >= 2)
    first.stop(signal.SIGKILL)
    before = sent(folder)
    assert second.wait_for("beat_leads") < 5
    wait_until(
        lambda: all(len(times) >= len(before[name]) + 2 for name, times in sent(folder).items())
    )
    second.stop()
    counts = dict(PeriodicTask.objects.values_list("name", "total_run_count"))
    for name, times in sent(folder).items():
        # The one that is killed may have written down a run that it did not send.
        assert len(times) <= counts[name] <= len(times) + 1
        assert min(after - before for before, after in pairwise(times)) > 0.9


def test_a_beat_that_loses_the_lock_while_it_is_frozen_does_not_tick(beat, folder, lock):
    process = beat()
    process.wait_for("beat_leads")
    wait_until(lambda: messages(folder, queue="default"))
    process.send(signal.SIGSTOP)
    end_connection_of_lock()
    wait_until(lock.take)
    process.send(signal.SIGCONT)
    process.wait_for("beat_stands_by")
    sent = len(messages(folder, queue="default"))
    time.sleep(1.5)
    assert len(messages(folder, queue="default")) == sent
    lock.release()
    assert process.wait_for("beat_leads", times=2) < 3


def test_a_beat_that_waits_writes_nothing_and_one_that_stops_frees_the_lock(beat, lock):
    wait_until(lock.take)
    process = beat()
    process.wait_for("beat_stands_by")
    assert not PeriodicTask.objects.exists()
    lock.release()
    process.wait_for("beat_leads", seconds=3)
    wait_until(PeriodicTask.objects.exists)
    process.send(signal.SIGTERM)
    assert wait_until(lock.take) < 1
    assert process.wait() == 0


def test_a_run_that_another_beat_has_written_down_is_not_sent_again():
    every_second = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    task = PeriodicTask.objects.create(name="report", task="report", interval=every_second)
    scheduler = LockedScheduler(app=app, lazy=True)
    entry = ModelEntry(task, app=app)
    next(entry)
    PeriodicTask.objects.filter(name="report").update(total_run_count=1)
    wait_until(scheduler._lock.take)
    with pytest.raises(LockLost):
        scheduler.apply_entry(entry)
    scheduler.close()


def test_the_lock_is_held_by_one_connection(lock):
    other = SessionLock()
    wait_until(lock.take)
    assert lock.is_held()
    assert not other.take()
    assert not other.is_held()
    lock.release()
    assert not lock.is_held()
    wait_until(other.take)
    other.release()


def test_the_lock_honours_the_options_of_the_database(lock, monkeypatch):
    options = connections["default"].settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "application_name", "named")
    named = SessionLock()
    wait_until(named.take)
    sql = "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE objid = %s"
    assert query(sql) == [("named",)]
    named.release()


def test_beat_refuses_another_database_in_one_sentence(monkeypatch):
    monkeypatch.setitem(
        connections["default"].settings_dict, "ENGINE", "django.db.backends.sqlite3"
    )
    with pytest.raises(SystemExit, match=r"^Configuration: DATABASE_URL must name a PostgreSQL "):
        SessionLock()
