import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

READY = {"status": "ok", "checks": {"database": "ok", "migrations": "ok"}}


def test_liveness_needs_no_database(api):
    # Without the db fixture, any query would fail this test.
    answer = api.get("/health/live/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_names_the_release(api, db, settings):
    settings.RELEASE = "20260101-abcdef"
    answer = api.get("/health/ready/")
    assert answer.status_code == 200
    assert answer.json() == {**READY, "release": "20260101-abcdef"}


def test_not_ready_while_a_migration_is_missing(api, db):
    MigrationRecorder(connection).record_unapplied("users", "0001_initial")
    answer = api.get("/health/ready/")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["checks"] == {"database": "ok", "migrations": "failed"}


def test_ready_after_a_newer_release_migrated(api, db):
    MigrationRecorder(connection).record_applied("users", "9999_of_the_next_release")
    assert api.get("/health/ready/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_not_ready_without_the_database(api, caplog):
    healthy = connection.settings_dict.copy()
    connection.close()
    connection.settings_dict |= {"HOST": "127.0.0.1", "PORT": "9"}
    try:
        answer = api.get("/health/ready/")
    finally:
        connection.close()
        connection.settings_dict.clear()
        connection.settings_dict.update(healthy)
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "failed", "migrations": "failed"}
    assert "127.0.0.1" not in answer.content.decode()
    assert "readiness_check_failed" in caplog.text
