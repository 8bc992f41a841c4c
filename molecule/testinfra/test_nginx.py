"""What nginx does with each request: redirects, names, headers, errors, logins, the journal."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import replace
from typing import Any

import inventory
import pytest
from support import HSTS, Site, events, eventually
from testinfra.host import Host

pytestmark = [pytest.mark.slipway, pytest.mark.group("web"), pytest.mark.units("nginx", "slipway-web@*")]


def parts(host: Host, request_id: str) -> dict[str, dict[str, Any]]:
    """The journal's events about a request by the unit that wrote them, once both nginx and the API have written."""

    def both() -> dict[str, dict[str, Any]] | None:
        found = {event["unit"].split("@")[0].removesuffix(".service"): event for event in events(host, request_id)}
        return found if {"nginx", "slipway-web"} <= set(found) else None

    return eventually(both, seconds=10)


@pytest.mark.parametrize("path", ["/", "/api/users/?limit=1&offset=2", "/health/live/"])
def test_http_redirects_to_https(site: Site, path: str) -> None:
    """Permanently, with method, path and query kept, to the port that serves HTTPS."""
    answer = site.get(path, scheme="http")
    assert answer.status == 308
    assert answer.headers["Location"] == f"{site.origin}{path}"


def test_further_names_serve_or_lead_to_the_main_one(host: Host, site: Site) -> None:
    variables = inventory.variables(host)
    for domain in variables.get("project_other_domains", []):
        # 400 where Django refuses the name.
        assert site.beside(domain.replace("*", "any")).get("/api/auth/me/").status == 401
    for domain in variables.get("project_redirect_domains", []):
        answer = site.beside(domain).get("/api/users/?limit=1")
        assert (answer.status, answer.headers["Location"]) == (308, f"{site.origin}/api/users/?limit=1")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["unknown.example", "127.0.0.1", None])
def test_the_health_check_is_answered_by_any_name(host: Host, site: Site, scheme: str, name: str | None) -> None:
    path = inventory.variables(host).get("nginx_health_path")
    if not path:
        pytest.skip("This inventory has no health check for balancers.")
    answer = site.get(path, scheme=scheme, host=name)
    assert (answer.status, answer.json["status"]) == (200, "ok")


def test_http_on_the_port_of_https_redirects_too(site: Site) -> None:
    answer = replace(site, http_port=site.https_port).get("/api/users/?limit=1", scheme="http")
    assert (answer.status, answer.headers["Location"]) == (308, f"{site.origin}/api/users/?limit=1")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["unknown.example", "127.0.0.1", "sub.slipway.localhost"])
def test_a_name_that_is_not_ours_is_cut_off(site: Site, scheme: str, name: str) -> None:
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        site.get("/health/live/", scheme=scheme, host=name)


@pytest.mark.parametrize("path", ["/health/live/", "/api/auth/me/", "/no/such/page/", "/static/no-such-file.css"])
def test_every_answer_asks_for_https_next_time(site: Site, path: str) -> None:
    assert site.get(path).headers.get_all("Strict-Transport-Security") == [HSTS]


@pytest.mark.parametrize("path", ["/health/live/", "/no/such/page/", "/static/no-such-file.css"])
def test_no_version_is_told(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.headers["Server"] == "nginx"
    assert not re.search(rb"nginx/[0-9]|gunicorn|Ubuntu|Debian", answer.body)


def test_a_request_is_one_event_in_the_journal(host: Host, site: Site) -> None:
    answer = site.get("/health/live/?secret=in-the-query")
    event = parts(host, answer.request_id)["nginx"]
    expected = {"event": "request", "method": "GET", "path": "/health/live/", "status": 200, "user_agent": "testinfra"}
    assert {name: event[name] for name in expected} == expected
    assert event["request_id"] == answer.request_id
    assert "in-the-query" not in str(event)


def test_the_proxy_and_the_api_log_the_same_request_id(host: Host, site: Site) -> None:
    answer = site.get("/health/live/")
    event = parts(host, answer.request_id)["slipway-web"]
    assert event["request_id"] == answer.request_id
    assert event["request"] == "GET /health/live/"


def test_a_client_cannot_choose_the_request_id(site: Site) -> None:
    assert site.get("/health/live/", headers={"X-Request-ID": "forged"}).request_id != "forged"


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        # Announced only: nginx refuses before it reads.
        (413, "POST", "/api/auth/logout/", {"Content-Length": str(2**30)}),
        (405, "TRACE", "/api/auth/me/", {}),
        (405, "POST", "/static/admin/css/base.css", {}),
        (431, "GET", "/api/users/", {"Authorization": "a" * 9000}),
        (501, "POST", "/api/auth/logout/", {"Transfer-Encoding": "gzip"}),
    ],
)
def test_an_error_of_the_proxy_has_the_shape_of_the_api_s(
    host: Host, site: Site, status: int, method: str, path: str, headers: dict[str, str]
) -> None:
    """And a front end may read it, while nobody else may."""
    for origin in [*inventory.variables(host).get("project_frontend_origins", []), "https://evil.test"]:
        connection = site.open()
        connection.request(method, path, headers={"Host": site.domain, "Origin": origin, **headers})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        assert answer.status == status
        assert set(body) == {"message", "extra", "request_id"}
        assert body["request_id"] == answer.headers["X-Request-ID"]
        shown = origin if origin != "https://evil.test" else None
        assert answer.headers["Access-Control-Allow-Origin"] == shown
        assert answer.headers["Access-Control-Allow-Credentials"] == (shown and "true")


@pytest.mark.parametrize(("status", "path"), [(400, "/../.."), (400, "/%00"), (414, f"/{'a' * 9000}")])
def test_a_malformed_request_is_the_client_s_error(site: Site, status: int, path: str) -> None:
    """Who scans the site must not look like a failure of it."""
    answer = site.get(path)
    assert answer.status == status
    assert set(answer.json) == {"message", "extra", "request_id"}
    assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_only_logins_are_slowed_down(site: Site, method: str) -> None:
    """A browser asks with OPTIONS before each login from another origin."""
    connection = site.open()
    statuses = [site.ask(method, "/api/auth/login/", connection=connection).status for _ in range(15)]
    connection.close()
    assert 429 not in statuses


@pytest.mark.destructive
def test_a_burst_of_logins_is_slowed_down(site: Site) -> None:
    """Guessing passwords is slow, here or there; a client that waits, and everything else, is served."""
    connection = site.open()
    paths = ["/api/auth/login/", "/admin/login/"] * 12
    answers = [(path, site.ask("POST", path, data={}, connection=connection)) for path in paths]
    connection.close()
    refused = [(path, answer) for path, answer in answers if answer.status == 429]
    assert {path for path, _ in refused} == set(paths)
    # Eleven at once, and one more in each two seconds that the others took.
    assert len(answers) - len(refused) <= 16
    _, last = refused[-1]
    assert last.json["message"] == "Too many requests. Try again in a moment."
    assert last.headers["Retry-After"] == "2"
    assert site.get("/api/auth/me/").status == 401
    assert eventually(lambda: site.ask("POST", "/api/auth/login/", data={}).status == 400, seconds=10)


def test_the_proxy_returns_after_a_boot(host: Host) -> None:
    assert host.service("nginx").is_enabled
    assert host.service("nginx").is_running
