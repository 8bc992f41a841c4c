import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from styleguide_example.authentication.tasks import login_record, sessions_clear_expired
from styleguide_example.tasks import app
from styleguide_example.users.models import LoginRecord


def arguments(user, **changes) -> dict:
    return {
        "record_id": str(uuid4()),
        "user_id": user.id,
        "occurred_at": timezone.now().isoformat(),
        "request_id": "request-1",
        **changes,
    }


def test_the_task_records_the_login(user):
    given = arguments(user)
    login_record(**given)
    record = LoginRecord.objects.get()
    assert (str(record.id), record.user, record.request_id) == (
        given["record_id"],
        user,
        "request-1",
    )
    assert record.occurred_at.isoformat() == given["occurred_at"]


def test_a_task_that_is_delivered_twice_records_once(user):
    given = arguments(user)
    login_record(**given)
    login_record(**given)
    assert LoginRecord.objects.count() == 1


def test_the_task_does_nothing_for_a_user_who_is_gone(db, user):
    given = arguments(user, user_id=user.id + 1)
    login_record(**given)
    assert not LoginRecord.objects.exists()


def test_a_login_sends_the_task_when_it_commits(
    api, user, monkeypatch, django_capture_on_commit_callbacks
):
    sent = []
    monkeypatch.setattr(login_record, "apply_async", lambda **options: sent.append(options))
    with django_capture_on_commit_callbacks() as callbacks:
        api.log_in(email=user.email, headers={"X-Request-ID": "request-7"})
    assert sent == []
    callbacks[0]()
    assert len(callbacks) == len(sent) == 1
    given = sent[0]["kwargs"]
    assert (given["user_id"], given["request_id"]) == (user.id, "request-7")
    login_record(**given)
    assert LoginRecord.objects.get().request_id == "request-7"


def test_a_failed_login_sends_nothing(api, user, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        api.log_in(email=user.email, password="wrong")
    assert callbacks == []


@pytest.mark.django_db(transaction=True)
def test_a_login_succeeds_while_the_broker_is_down(api, user, caplog):
    started = time.monotonic()
    answer = api.log_in(email=user.email)
    assert answer.status_code == 200
    assert api.get("/api/auth/me/").status_code == 200
    assert time.monotonic() - started < 3
    (line,) = [text for text in caplog.messages if "task_publish_failed" in text]
    assert "'broker': '127.0.0.1'" in line
    assert "guest" not in line


def test_expired_sessions_are_deleted_and_live_ones_kept(db):
    now = timezone.now()
    for key, expires in (("old", now - timedelta(seconds=1)), ("live", now + timedelta(hours=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=expires)
    sessions_clear_expired()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["live"]


def test_the_schedule_names_a_task_that_exists(settings):
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks
