import gzip
import http.client
import re

import pytest
from support import events, eventually

pytestmark = [pytest.mark.group("web"), pytest.mark.units("nginx", "slipway-web@*")]

HSTS = "max-age=31536000"


def parts(host, request_id):
    """The journal's events about a request by the unit that wrote them, once both nginx and the API have written."""

    def both():
        found = {event["unit"].split("@")[0].removesuffix(".service"): event for event in events(host, request_id)}
        return found if {"nginx", "slipway-web"} <= set(found) else None

    return eventually(both, seconds=10)


@pytest.mark.parametrize("path", ["/", "/api/users/?limit=1&offset=2", "/health/live/"])
def test_http_redirects_to_https(site, path):
    """Permanently, with method, path and query kept, to the port that serves HTTPS."""
    answer = site.get(path, scheme="http")
    assert answer.status == 308
    assert answer.headers["Location"] == f"https://{site.host_header(site.https_port, 443)}{path}"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["unknown.example", "127.0.0.1", "sub.slipway.localhost"])
def test_a_name_that_is_not_ours_is_cut_off(site, scheme, name):
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        site.get("/health/live/", scheme=scheme, host=name)


@pytest.mark.parametrize("path", ["/health/live/", "/api/auth/me/", "/no/such/page/", "/static/no-such-file.css"])
def test_every_answer_asks_for_https_next_time(site, path):
    assert site.get(path).headers.get_all("Strict-Transport-Security") == [HSTS]


@pytest.mark.parametrize("path", ["/health/live/", "/no/such/page/", "/static/no-such-file.css"])
def test_no_version_is_told(site, path):
    answer = site.get(path)
    assert answer.headers["Server"] == "nginx"
    assert not re.search(rb"nginx/[0-9]|gunicorn|Ubuntu|Debian", answer.body)


def test_a_request_is_one_event_in_the_journal(host, site):
    answer = site.get("/health/live/?secret=in-the-query")
    event = parts(host, answer.request_id)["nginx"]
    expected = {"event": "request", "method": "GET", "path": "/health/live/", "status": 200, "user_agent": "testinfra"}
    assert {name: event[name] for name in expected} == expected
    assert event["request_id"] == answer.request_id
    assert "in-the-query" not in str(event)


def test_the_proxy_and_the_api_log_the_same_request_id(host, site):
    answer = site.get("/health/live/")
    event = parts(host, answer.request_id)["slipway-web"]
    assert event["request_id"] == answer.request_id
    assert event["request"] == "GET /health/live/"


def test_a_client_cannot_choose_the_request_id(site):
    assert site.get("/health/live/", headers={"X-Request-ID": "forged"}).request_id != "forged"


@pytest.fixture(scope="module")
def stylesheet(site):
    """The path of the style sheet that Django's admin asks for."""
    page = site.get("/admin/login/").body.decode()
    return re.search(r'href="(/static/admin/css/base\.[0-9a-f]+\.css)"', page)[1]


def test_static_files_are_served_compressed(site, stylesheet):
    answer = site.get(stylesheet, headers={"Accept-Encoding": "gzip"})
    assert answer.status == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"{" in gzip.decompress(answer.body)


def test_static_files_are_served_plain_to_who_asks_for_that(site, stylesheet):
    answer = site.get(stylesheet, headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["Content-Type"] == "text/css"


def test_static_files_are_kept_by_browsers_for_good(site, stylesheet):
    assert site.get(stylesheet).headers.get_all("Cache-Control") == ["public, max-age=31536000, immutable"]


def test_the_list_of_static_files_is_nobody_s_business(site):
    assert site.get("/static/").status in (403, 404)


@pytest.mark.parametrize("path", ["/static../bin/web", "/static/../bin/web", "/static/%2e%2e/bin/web"])
def test_nothing_beside_the_static_files_is_served(site, path):
    assert site.get(path).status in (400, 404)


@pytest.mark.destructive
def test_a_burst_of_logins_is_slowed_down(site):
    """Guessing passwords is slow; a client that waits, and everything else, is served."""
    connection = site.open()
    statuses = [site.ask("POST", "/api/auth/login/", data={}, connection=connection).status for _ in range(15)]
    connection.close()
    assert set(statuses) <= {400, 429}
    assert statuses.count(400) <= 11
    assert statuses[-1] == 429
    assert site.get("/api/auth/me/").status == 401
    assert eventually(lambda: site.ask("POST", "/api/auth/login/", data={}).status == 400, seconds=10)


def test_the_proxy_returns_after_a_boot(host):
    assert host.service("nginx").is_enabled
    assert host.service("nginx").is_running
