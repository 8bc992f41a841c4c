"""The API asks for no CSRF token: these checks are what stands in its place."""

from itertools import product

import pytest
from django.contrib.sessions.models import Session
from structlog.testing import capture_logs

from conftest import PASSWORD, ApiClient
from styleguide_example.users.models import User

OWN, FRONT_END, EVIL = "https://api.example.com", "https://app.example.com", "https://evil.example"
LOGIN, ME, LOGOUT = "/api/auth/login/", "/api/auth/me/", "/api/auth/logout/"
REFUSED = "This origin may not use the API."

# The first of these headers that a request has decides; True lets it pass.
DECIDES = {
    "Origin": {
        OWN: True,
        FRONT_END: True,
        EVIL: False,
        "null": False,
        "https://blog.example.com": False,
        f"{FRONT_END}:8443": False,
        "http://app.example.com": False,
    },
    "Sec-Fetch-Site": {
        "same-origin": True,
        "none": True,
        "same-site": False,
        "cross-site": False,
        "garbage": False,
    },
    "Referer": {
        f"{OWN}/api/docs/": True,
        f"{FRONT_END}/users?page=2": True,
        f"{EVIL}/{FRONT_END}/": False,
        "garbage": False,
    },
}
# Without any of them it is no browser, and passes unless it has a cookie all the same.
PASSES_WITHOUT = {"cookie": False, "key": True, "none": True}

HEADERS = [
    {name: value for name, value in zip(DECIDES, values, strict=True) if value is not None}
    for values in product(*([None, *meanings] for meanings in DECIDES.values()))
]

# What each request answers once it is let in. A read always is; a logout is none, even by GET.
READS = [("GET", ME), ("HEAD", ME), ("OPTIONS", ME), ("OPTIONS", LOGOUT)]
WRITES = {
    ("POST", LOGIN): 400,  # The body is empty: letting it in is what counts.
    ("GET", LOGOUT): 200,
    ("HEAD", LOGOUT): 200,
    ("POST", LOGOUT): 200,
    ("PUT", LOGOUT): 405,
    ("PATCH", LOGOUT): 405,
    ("DELETE", LOGOUT): 405,
}


def expected_status(method: str, path: str, credential: str, headers: dict) -> int:
    if (method, path) in READS:
        return 401 if path == ME and credential == "none" else 200
    for name, meanings in DECIDES.items():
        if name in headers:
            return WRITES[method, path] if meanings[headers[name]] else 403
    return WRITES[method, path] if PASSES_WITHOUT[credential] else 403


@pytest.fixture
def browser() -> ApiClient:
    """Sends only the headers that the test names."""
    client = ApiClient()
    client.defaults = {"HTTP_HOST": "api.example.com"}
    return client


@pytest.mark.parametrize("credential", PASSES_WITHOUT)
@pytest.mark.parametrize(("method", "path"), [*READS, *WRITES])
def test_the_whole_matrix(method, path, credential, browser, api_logged_in):
    session = Session.objects.get()
    browser.cookies["sessionid"] = session.session_key
    cookies = browser.cookies.copy() if credential == "cookie" else {}
    key = {"Authorization": f"Session {session.session_key}"} if credential == "key" else {}
    wrong = []
    for headers in HEADERS:
        browser.cookies.clear()
        browser.cookies.update(cookies)
        answer = browser.generic(method, path, "{}", "application/json", headers=headers | key)
        if path == LOGOUT and answer.status_code == 200:
            Session.objects.bulk_create([session], ignore_conflicts=True)
        status = expected_status(method, path, credential, headers)
        shown_to = FRONT_END if headers.get("Origin") == FRONT_END else None
        seen = (answer.status_code, answer.headers.get("Access-Control-Allow-Origin"))
        if seen != (status, shown_to):
            wrong.append((headers, seen, (status, shown_to)))
        if status == 403 and method != "HEAD":
            assert answer.json()["message"] == REFUSED
            assert "sessionid" not in answer.cookies
    assert not wrong


def test_the_matrix_is_whole():
    assert len(HEADERS) == 8 * 6 * 5
    assert {} in HEADERS


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": OWN}, 200),
        ({"Origin": FRONT_END, "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Origin": EVIL, "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": f"{FRONT_END}.evil.example"}, 403),
        ({"Referer": f"{FRONT_END}@evil.example/"}, 403),
        ({"Referer": "https://[evil"}, 403),
        ({"Referer": ""}, 403),
    ],
)
def test_a_login_with_the_right_password(browser, user, headers, status):
    credentials = {"email": user.email, "password": PASSWORD}
    answer = browser.post(LOGIN, credentials, content_type="application/json", headers=headers)
    assert answer.status_code == status
    assert ("sessionid" in answer.cookies) is (status == 200)


@pytest.mark.parametrize(("method", "path"), [("post", LOGIN), ("get", LOGOUT)])
@pytest.mark.parametrize(
    ("headers", "logged"),
    [
        ({"Origin": EVIL}, {"origin": EVIL}),
        ({"Sec-Fetch-Site": "cross-site"}, {"sec_fetch_site": "cross-site"}),
        ({"Referer": f"{EVIL}/page?token=hush"}, {"referer": EVIL}),
        ({"Origin": "x" * 5000}, {"origin": "x" * 300}),
    ],
)
def test_a_refusal_is_logged_with_what_decided(browser, method, path, headers, logged):
    with capture_logs() as lines:
        answer = getattr(browser, method)(path, headers=headers)
    assert answer.status_code == 403
    nothing = {"origin": None, "sec_fetch_site": None, "referer": None}
    (line,) = [line for line in lines if line["event"] == "origin_refused"]
    assert line == {"event": "origin_refused", "log_level": "warning"} | nothing | logged


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_cannot_log_the_user_out(api_logged_in, content_type):
    answer = api_logged_in.post(LOGOUT, "", content_type=content_type, headers={"Origin": EVIL})
    assert answer.status_code == 403
    assert api_logged_in.get(ME).status_code == 200


def test_an_image_on_another_page_cannot_log_the_user_out(api_logged_in):
    answer = api_logged_in.get(LOGOUT, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert api_logged_in.get(ME).status_code == 200


def test_the_admin_is_guarded_too(browser, db):
    answer = browser.post("/admin/login/", headers={"Origin": EVIL})
    assert (answer.status_code, answer.json()["message"]) == (403, REFUSED)


def test_a_front_end_may_read_with_credentials(api_logged_in):
    answer = api_logged_in.get(ME, headers={"Origin": FRONT_END})
    assert answer.headers["Access-Control-Allow-Origin"] == FRONT_END
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After, X-Request-ID"
    assert "origin" in answer.headers["Vary"]


@pytest.mark.parametrize(("origin", "allowed"), [(FRONT_END, True), (EVIL, False)])
def test_preflight(api, origin, allowed):
    answer = api.options(
        LOGIN,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert answer.status_code == 200
    assert ("Access-Control-Allow-Origin" in answer.headers) is allowed
    asked = answer.headers.get("Access-Control-Allow-Headers", "")
    assert ("authorization" in asked and "content-type" in asked) is allowed


def test_other_paths_have_no_cors(api, db):
    answer = api.get("/admin/login/", headers={"Origin": FRONT_END})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_admin_still_asks_for_its_token(api_logged_in, user):
    User.objects.filter(id=user.id).update(is_admin=True, is_superuser=True)
    answer = api_logged_in.post("/admin/logout/", headers={"Origin": "https://testserver"})
    assert answer.status_code == 403
    assert "CSRF" in answer.content.decode()


def test_for_development_every_origin_can_be_let_in(api_logged_in, settings):
    settings.CORS_ALLOW_ALL_ORIGINS = True
    answer = api_logged_in.post_json(LOGOUT, headers={"Origin": EVIL})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == EVIL
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_a_login_needs_no_token(user):
    client = ApiClient()
    assert client.log_in(email=user.email).status_code == 200
    assert client.post_json(LOGOUT).status_code == 200
