import pytest
from django.contrib.auth.hashers import identify_hasher
from django.contrib.sessions.models import Session

from conftest import PASSWORD, ApiClient


def test_login_sets_the_cookie_and_returns_key_and_user(api, user):
    answer = api.log_in(email="ADA@Example.com")
    cookie = answer.cookies["sessionid"]
    assert answer.status_code == 200
    assert answer.json() == {
        "session": cookie.value,
        "data": {
            "id": user.id,
            "email": "ada@example.com",
            "is_active": True,
            "is_admin": False,
            "is_superuser": False,
        },
    }
    assert cookie["httponly"] is True
    assert cookie["secure"] is True
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("Lax", "/", 1209600)
    assert cookie["domain"] == ""
    assert list(answer.cookies) == ["sessionid"]


def test_login_replaces_the_session_key(api, user):
    first = api.log_in(email=user.email).json()["session"]
    second = api.log_in(email=user.email).json()["session"]
    assert first != second
    assert not Session.objects.filter(session_key=first).exists()


@pytest.mark.parametrize("case", ["unknown", "wrong", "inactive"])
def test_failed_logins_look_the_same(api, user, case):
    email, password = user.email, PASSWORD
    if case == "unknown":
        email = "nobody@example.com"
    elif case == "wrong":
        password = "not the password"
    else:
        user.is_active = False
        user.save()
    answer = api.log_in(email=email, password=password)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Session"
    body = answer.json()
    assert body.pop("request_id")
    assert body == {"message": "Wrong email or password.", "extra": {}}
    assert "sessionid" not in answer.cookies


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"password": "x"}, "email"),
        ({"email": "ada@example.com"}, "password"),
        ({"email": "not an address", "password": "x"}, "email"),
        ({"email": "ada@example.com\x00", "password": "x"}, "email"),
        ({"email": "ada@example.com", "password": "a\x00b"}, "password"),
        ({"email": ["ada@example.com"], "password": "x"}, "email"),
    ],
)
def test_login_names_the_field_at_fault(api, db, data, field):
    answer = api.post_json("/api/auth/login/", data)
    assert answer.status_code == 400
    assert list(answer.json()["extra"]["fields"]) == [field]


def test_spaces_belong_to_the_password(api, user):
    assert api.log_in(email=user.email, password=f" {PASSWORD}").status_code == 401


def test_passwords_are_hashed_with_argon2(api, user, settings):
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[1:]
    user.set_password(PASSWORD)
    user.save()
    assert identify_hasher(user.password).algorithm == "argon2"
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in user.password
    assert api.log_in(email=user.email).status_code == 200


def test_a_login_rewrites_an_older_hash(api, user, settings):
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[2:]
    user.set_password(PASSWORD)
    user.save()
    assert user.password.startswith("pbkdf2_")
    settings.PASSWORD_HASHERS = [
        "styleguide_example.users.hashers.Argon2Hasher",
        *settings.PASSWORD_HASHERS,
    ]
    assert api.log_in(email=user.email).status_code == 200
    user.refresh_from_db()
    assert user.password.startswith("argon2")


def test_me_is_the_user_of_the_session(api, user):
    api.log_in(email=user.email)
    answer = api.get("/api/auth/me/")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": user.id,
        "email": "ada@example.com",
        "is_active": True,
        "is_admin": False,
        "is_superuser": False,
    }


@pytest.mark.parametrize("cookie", [None, "unknownkey0123456789"])
def test_me_without_a_session_is_a_401(api, db, cookie):
    if cookie:
        api.cookies["sessionid"] = cookie
    answer = api.get("/api/auth/me/")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Session"
    assert set(answer.json()) == {"message", "extra", "request_id"}


def test_me_ends_when_the_user_is_deactivated(api_logged_in, user):
    user.is_active = False
    user.save()
    assert api_logged_in.get("/api/auth/me/").status_code == 401


@pytest.mark.parametrize("method", ["get", "post"])
def test_logout_ends_the_session_and_removes_the_cookie(api, user, method):
    key = api.log_in(email=user.email).json()["session"]
    answer = getattr(api, method)("/api/auth/logout/")
    assert answer.status_code == 200
    assert (answer.cookies["sessionid"].value, answer.cookies["sessionid"]["max-age"]) == ("", 0)
    # The key is worth nothing to whoever kept it.
    thief = ApiClient()
    thief.cookies["sessionid"] = key
    assert thief.get("/api/auth/me/").status_code == 401
    assert not Session.objects.filter(session_key=key).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_logout_without_a_login_succeeds(api, db, method):
    assert getattr(api, method)("/api/auth/logout/").status_code == 200
