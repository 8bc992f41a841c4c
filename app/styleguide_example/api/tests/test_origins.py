"""The API asks for no CSRF token: these checks are what stands in its place."""

import pytest

from styleguide_example.users.models import User

OWN, FRONT_END, EVIL = "https://testserver", "https://app.example.com", "https://evil.example"


@pytest.mark.parametrize("path", ["/api/auth/login/", "/api/auth/logout/", "/admin/login/"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://testserver"},
        {"Origin": "https://testserver:8443"},
        {"Origin": f"{FRONT_END}.evil.example"},
        {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_write_from_elsewhere_is_refused(api, user, path, headers):
    answer = api.post_json(
        path, {"email": user.email, "password": "correct horse battery 9"}, headers=headers
    )
    assert answer.status_code == 403
    assert answer.json()["message"] == "This origin may not use the API."
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert "sessionid" not in answer.cookies
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN},
        {"Origin": FRONT_END},
        {"Origin": FRONT_END, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_write_from_a_known_place_is_accepted(api, user, headers):
    assert api.log_in(email=user.email, headers=headers).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_cannot_log_the_user_out(api_logged_in, content_type):
    answer = api_logged_in.post(
        "/api/auth/logout/", "", content_type=content_type, headers={"Origin": EVIL}
    )
    assert answer.status_code == 403
    assert api_logged_in.get("/api/auth/me/").status_code == 200


def test_a_login_needs_no_token(api_logged_in):
    assert api_logged_in.post_json("/api/auth/logout/").status_code == 200


def test_a_read_is_answered_but_not_shown_to_other_origins(api_logged_in):
    answer = api_logged_in.get("/api/auth/me/", headers={"Origin": EVIL})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_front_end_may_read_with_credentials(api_logged_in):
    answer = api_logged_in.get("/api/auth/me/", headers={"Origin": FRONT_END})
    assert answer.headers["Access-Control-Allow-Origin"] == FRONT_END
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-ID"
    assert "origin" in answer.headers["Vary"]


@pytest.mark.parametrize(("origin", "allowed"), [(FRONT_END, True), (EVIL, False)])
def test_preflight(api, origin, allowed):
    answer = api.options(
        "/api/auth/login/",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert answer.status_code == 200
    assert ("Access-Control-Allow-Origin" in answer.headers) is allowed


def test_other_paths_have_no_cors(api, db):
    answer = api.get("/admin/login/", headers={"Origin": FRONT_END})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_admin_still_asks_for_its_token(api_logged_in, user):
    User.objects.filter(id=user.id).update(is_admin=True, is_superuser=True)
    answer = api_logged_in.post("/admin/logout/", headers={"Origin": OWN})
    assert answer.status_code == 403
    assert "CSRF" in answer.content.decode()
