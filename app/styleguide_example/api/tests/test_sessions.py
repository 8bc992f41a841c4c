"""The session by cookie, and by the header `Authorization: Session <key>`."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from conftest import ApiClient
from styleguide_example.users.services import user_create

ME, LOGOUT = "/api/auth/me/", "/api/auth/logout/"
UNKNOWN = "0123456789abcdefghijklmnopqrstuv"


def header(key: str) -> dict[str, str]:
    return {"Authorization": f"Session {key}"}


@pytest.fixture
def key(user) -> str:
    return ApiClient().log_in(email=user.email).json()["session"]


def refused(answer) -> None:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Session"
    assert set(answer.json()) == {"message", "extra", "request_id"}
    assert "sessionid" not in answer.cookies


@pytest.mark.parametrize("scheme", ["Session", "session"])
def test_the_header_logs_in_without_a_cookie(api, key, user, scheme):
    answer = api.get(ME, headers={"Authorization": f"{scheme} {key}"})
    assert (answer.status_code, answer.json()["email"]) == (200, user.email)
    assert not answer.cookies


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "Session",
        "Session ",
        "Session a b",
        f"Session {UNKNOWN}",
        f"Session  {UNKNOWN}",
        f"Session {UNKNOWN.upper()}",
        f"Session {UNKNOWN}x",
        f"Session {'a' * 5000}",
        "Session \x00aaaaaaa",
        "Session \x00" + "a" * 31,
        "Session é" + "a" * 31,
        f"Session {UNKNOWN}, Session {UNKNOWN}",
        f"Bearer {UNKNOWN}",
        "Basic dTpw",
    ],
)
@pytest.mark.parametrize("path", [ME, LOGOUT])
def test_a_header_that_names_no_session_is_refused(api_logged_in, path, value):
    # Also beside a cookie that would do: it never falls back.
    for client in (ApiClient(), api_logged_in):
        refused(client.get(path, HTTP_AUTHORIZATION=value))


@pytest.mark.parametrize("form", ["Bearer {}", "Session {}x", "Session {} {}", "{}"])
def test_a_real_key_in_another_form_is_refused(api, key, form):
    refused(api.get(ME, headers={"Authorization": form.format(key, key)}))


@pytest.mark.parametrize("path", [f"{ME}?session={{}}", f"{ME}?sessionid={{}}"])
def test_the_key_counts_in_no_url(api, key, path):
    refused(api.get(path.format(key)))


def test_an_expired_session_is_refused(api, key):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    refused(api.get(ME, headers=header(key)))


def test_the_key_of_a_session_without_a_login_is_refused(api, db):
    session = SessionStore()
    session["colour"] = "blue"
    session.save()
    assert session.session_key is not None
    refused(api.get(ME, headers=header(session.session_key)))


def test_a_session_of_a_deactivated_user_is_refused(api, key, user):
    user.is_active = False
    user.save()
    refused(api.get(ME, headers=header(key)))


@pytest.mark.parametrize("method", ["get", "post"])
def test_logout_by_header_ends_that_session(api, key, user, method):
    other = ApiClient().log_in(email=user.email).json()["session"]
    answer = getattr(api, method)(LOGOUT, headers=header(key))
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    refused(api.get(ME, headers=header(key)))
    assert api.get(ME, headers=header(other)).status_code == 200


def test_the_header_wins_over_the_cookie(api_logged_in, user):
    grace = user_create(email="grace@example.com", password="correct horse battery 9")
    other = ApiClient().log_in(email=grace.email).json()["session"]
    assert api_logged_in.get(ME, headers=header(other)).json()["email"] == grace.email
    api_logged_in.post_json(LOGOUT, headers=header(other))
    assert api_logged_in.get(ME).json()["email"] == user.email


@pytest.mark.parametrize("by", ["cookie", "header"])
def test_a_changed_password_ends_the_session(api, key, user, by):
    if by == "cookie":
        api.cookies["sessionid"] = key
    sent = header(key) if by == "header" else {}
    assert api.get(ME, headers=sent).status_code == 200
    user.set_password("another horse battery 9")
    user.save()
    assert api.get(ME, headers=sent).status_code == 401
    assert not Session.objects.filter(session_key=key).exists()


@pytest.mark.parametrize("by", ["cookie", "header"])
def test_each_request_can_prolong_the_session(api, key, settings, by):
    settings.SESSION_SAVE_EVERY_REQUEST = True
    soon = timezone.now() + timedelta(minutes=1)
    Session.objects.update(expire_date=soon)
    if by == "cookie":
        api.cookies["sessionid"] = key
    answer = api.get(ME, headers=header(key) if by == "header" else {})
    assert Session.objects.get().expire_date > soon
    assert ("sessionid" in answer.cookies) is (by == "cookie")


def test_a_new_secret_key_ends_logins_by_header_only(api, key, user, settings):
    """Django gives such a session a new key, and only the cookie can tell the client."""
    cookie = ApiClient()
    cookie.log_in(email=user.email)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" + settings.SECRET_KEY
    assert [cookie.get(ME).status_code for _ in range(2)] == [200, 200]
    assert [api.get(ME, headers=header(key)).status_code for _ in range(2)] == [200, 401]


def test_login_takes_no_notice_of_the_header(api, user):
    for value in ("x", f"Session {UNKNOWN}"):
        answer = api.log_in(email=user.email, headers={"Authorization": value})
        assert (answer.status_code, "sessionid" in answer.cookies) == (200, True)


def test_the_admin_takes_no_header(api, key, user):
    type(user).objects.update(is_admin=True, is_superuser=True)
    assert api.get("/admin/", headers=header(key)).status_code == 302


def test_without_the_header_setting_only_the_cookie_counts(api, user, settings):
    settings.SESSION_HEADER_ENABLED = False
    answer = api.log_in(email=user.email)
    assert list(answer.json()) == ["data"]
    key = answer.cookies["sessionid"].value
    refused(ApiClient().get(ME, headers=header(key)))
    # Ignored, not refused.
    assert api.get(ME, headers={"Authorization": "x"}).status_code == 200


def cookie(value: str):
    return ApiClient().get(ME, HTTP_COOKIE=f"sessionid={value}")


@pytest.mark.parametrize(
    "value",
    [
        r'"\000aaaaaaa"',
        r'"\000' + "a" * 31 + '"',
        "a" * 8000,
        "é" * 32,
        "\xff" * 32,
        "short",
        '""',
        UNKNOWN,
        UNKNOWN.upper(),
    ],
)
def test_a_cookie_that_names_no_session_is_a_401(db, value):
    answer = cookie(value)
    assert answer.status_code == 401
    assert set(answer.json()) == {"message", "extra", "request_id"}


def test_the_cookies_above_are_read_as_a_good_one_is(key):
    assert cookie(key).status_code == 200
    assert cookie(key[:-1] + ("a" if key[-1] != "a" else "b")).status_code == 401
