import io
import json
import logging
import logging.config

import pytest
import structlog
from django.conf import settings

from config.tests.test_settings import run
from conftest import ApiClient


@pytest.fixture
def log_lines():
    """What the configured handler prints, parsed."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    logging.config.dictConfig(settings.LOGGING)
    printed = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(printed)
    yield lambda: [json.loads(line) for line in printed.getvalue().splitlines()]
    root.handlers[:] = handlers


def test_every_library_logs_one_line_of_json(log_lines):
    structlog.contextvars.bind_contextvars(request_id="abc")
    structlog.get_logger("ours").info("event", answer=42)
    logging.getLogger("django.db").warning("theirs %s", "too")
    logging.getLogger("celery.worker").error("and\nCelery")
    structlog.contextvars.clear_contextvars()
    ours, theirs, celery = log_lines()
    assert (ours["message"], ours["answer"], ours["level"]) == ("event", 42, "info")
    assert (theirs["message"], theirs["logger"]) == ("theirs too", "django.db")
    assert celery["message"] == "and\nCelery"
    assert {ours["request_id"], theirs["request_id"], celery["request_id"]} == {"abc"}


def test_secrets_are_redacted_by_name(log_lines):
    names = ("password", "Authorization", "cookie", "session_key", "sessionid", "api_token")
    structlog.get_logger("ours").info("event", **dict.fromkeys(names, "hush"))
    (line,) = log_lines()
    assert "hush" not in str(line)
    assert line["password"] == "[redacted]"


def test_a_trace_holds_no_values_of_variables(log_lines):
    password = "hush-" + "hush"  # noqa: F841
    try:
        raise ValueError("boom")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    (line,) = log_lines()
    assert "ValueError: boom" in line["exception"]
    assert "hush-hush" not in str(line)


def test_a_request_is_one_line_without_its_query_string(api, log_lines, db):
    api.get("/api/nothing/?password=hush", headers={"X-Request-ID": "from-the-proxy"})
    (line,) = log_lines()
    assert (line["message"], line["code"]) == ("request_finished", 404)
    assert line["request"] == "GET /api/nothing/"
    assert line["request_id"] == "from-the-proxy"


def test_a_login_leaves_no_secret_in_the_log(api, user, log_lines):
    answer = api.log_in(email=user.email, headers={"X-Request-ID": "login-1"})
    text = str(log_lines())
    assert "request_finished" in text
    for secret in ("correct horse", answer.json()["session"]):
        assert secret not in text


def test_no_log_line_holds_a_session_key(api, user, log_lines):
    logging.getLogger().setLevel(logging.DEBUG)
    key = api.log_in(email=user.email).json()["session"]
    header = {"Authorization": f"Session {key}"}
    by_header = ApiClient()
    assert api.get("/api/auth/me/").status_code == 200
    assert by_header.get("/api/auth/me/", headers=header).status_code == 200
    assert by_header.get("/api/auth/me/", headers={"Authorization": key}).status_code == 401
    assert by_header.post_json("/api/auth/logout/", headers=header).status_code == 200
    assert by_header.get("/api/auth/me/", headers=header).status_code == 401
    lines = log_lines()
    finished = [line for line in lines if line["message"] == "request_finished"]
    assert len(finished) == 6
    assert [line.get("user_id") for line in finished[1:3]] == [user.id, user.id]
    assert key not in str(lines)


def test_the_console_format_is_for_people():
    code = "import django; django.setup(); import structlog; structlog.get_logger('a').info('hi')"
    result = run("python", "-c", code, LOG_FORMAT="console")
    assert "hi" in result.stdout
    assert not result.stdout.startswith("{")
