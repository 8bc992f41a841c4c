import re

import pytest

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
