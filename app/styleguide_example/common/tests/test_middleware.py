import re

import pytest

from conftest import PASSWORD

MADE_HERE = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize("path", ["/health/live/", "/api/nothing/", "/api/auth/me/"])
def test_every_answer_has_the_id_of_the_request(api, db, path):
    assert MADE_HERE.fullmatch(api.get(path).headers["X-Request-ID"])
    answer = api.get(path, headers={"X-Request-ID": "from.the_proxy-1"})
    assert answer.headers["X-Request-ID"] == "from.the_proxy-1"


@pytest.mark.parametrize("given", ["", " ", "a" * 65, "a b", 'a"b', "a\nb", "é"])
def test_an_id_that_could_harm_a_log_is_replaced(api, given):
    answer = api.get("/health/live/", HTTP_X_REQUEST_ID=given)
    assert MADE_HERE.fullmatch(answer.headers["X-Request-ID"])


def test_browsers_are_told_to_stay_with_https(api):
    policy = api.get("/health/live/").headers["Strict-Transport-Security"]
    assert policy == "max-age=31536000; includeSubDomains"


def test_plain_http_is_redirected(api):
    api.scheme = "http"
    answer = api.get("/health/live/", headers={"X-Forwarded-Proto": "https"})
    assert (answer.status_code, answer.headers["Location"]) == (
        301,
        "https://testserver/health/live/",
    )


ANSWERS = {
    "a login": ("POST", "/api/auth/login/", {}, 200),
    "a refused login": ("POST", "/api/auth/login/", {"origin": "https://evil.example"}, 403),
    "the user": ("GET", "/api/auth/me/", {}, 200),
    "a stranger": ("GET", "/api/auth/me/", {"authorization": "Session x"}, 401),
    "the users": ("GET", "/api/users/?limit=1", {}, 200),
    "a wrong filter": ("GET", "/api/users/?limit=x", {}, 400),
    "a logout": ("POST", "/api/auth/logout/", {}, 200),
    "an unknown path": ("GET", "/api/nothing/", {}, 404),
    "an unknown host": ("GET", "/api/auth/me/", {"host": "evil.example"}, 400),
    "the root": ("GET", "/", {}, 302),
    "the docs": ("GET", "/api/docs/", {}, 200),
    "the admin": ("GET", "/admin/", {}, 200),
}


@pytest.fixture(params=ANSWERS)
def answer(request, api_logged_in, user):
    type(user).objects.update(is_admin=True)
    method, path, headers, status = ANSWERS[request.param]
    body = f'{{"email": "{user.email}", "password": "{PASSWORD}"}}'
    given = api_logged_in.generic(method, path, body, "application/json", headers=headers)
    assert given.status_code == status
    return given


def test_no_answer_is_stored(answer):
    assert "no-store" in answer.headers["Cache-Control"]


def test_no_page_of_another_origin_embeds_an_answer(answer):
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_no_page_uses_anything_of_other_hosts_or_from_inside_itself(answer):
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    closed = {name for name, sources in policy.items() if sources == "'none'"}
    assert closed == {"default-src", "base-uri", "frame-ancestors"}
    assert set(policy.values()) == {"'none'", "'self'", "'self' data:"}


def test_the_root_leads_to_the_docs(api):
    assert api.get("/").headers["Location"] == "/api/docs/"
