"""A closed site: what each kind of visitor sees, and that no request is lost."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import inventory
import pytest
from support import HSTS, Site, eventually, play
from testinfra.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.slipway,
    pytest.mark.group("web"),
    pytest.mark.units("nginx", "slipway-web@*"),
]

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FLAG = "/etc/nginx/maintenance/slipway/on"


@pytest.fixture(scope="module")
def page(host: Host) -> Iterator[bytes]:
    """What browsers are shown during maintenance; it is there once the playbook has turned it on."""
    done = play(host, "maintenance.yml", "-e", "maintenance=on")
    assert done.returncode == 0, done.stdout
    yield host.file("/etc/nginx/maintenance/slipway/page.html").content
    done = play(host, "maintenance.yml", "-e", "maintenance=off")
    assert done.returncode == 0, done.stdout


@pytest.fixture
def closed(host: Host, page: bytes) -> Iterator[Host]:
    """The host, in maintenance."""
    host.check_output(f"touch {FLAG}")
    yield host
    host.check_output(f"rm -f {FLAG}")


@pytest.mark.destructive
def test_maintenance_begins_and_ends_at_once(host: Host, site: Site) -> None:
    for state, shown, status in (("on", "maintenance is on since 20", 503), ("off", "maintenance is off.", 401)):
        done = play(host, "maintenance.yml", "-e", f"maintenance={state}")
        assert site.get("/api/auth/me/").status == status
        assert done.returncode == 0, done.stdout
        assert f"{host.backend.host}: {shown}" in done.stdout
        assert "changed=0" not in done.stdout
        assert "changed=0" in play(host, "maintenance.yml", "-e", f"maintenance={state}").stdout
        other = {"on": "off", "off": "on"}[state]
        assert "changed=1" in play(host, "maintenance.yml", "-e", f"maintenance={other}", "--check").stdout
        assert site.get("/api/auth/me/").status == status


@pytest.mark.destructive
def test_maintenance_is_on_or_off(host: Host) -> None:
    done = play(host, "maintenance.yml", "-e", "maintenance=perhaps")
    assert done.returncode != 0
    assert "`make maintenance STATE=on`" in done.stdout + done.stderr
    assert not host.file(FLAG).exists


@pytest.mark.destructive
@pytest.mark.parametrize("path", ["/", "/admin/", "/no/such/page/", "/static/gone.css"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_browser_is_shown_the_page_during_maintenance(
    closed: Host, site: Site, page: bytes, method: str, path: str
) -> None:
    answer = site.ask(method, path, headers=BROWSER)
    assert (answer.status, answer.body) == (503, page)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Retry-After"] == "300"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; ")


@pytest.mark.destructive
@pytest.mark.parametrize("headers", [{}, BROWSER])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_front_end_can_read_the_api_s_answer_during_maintenance(
    closed: Host, site: Site, method: str, headers: dict[str, str]
) -> None:
    for origin in inventory.variables(closed).get("project_frontend_origins", []):
        answer = site.ask(method, "/api/users/", headers={**headers, "Origin": origin})
        assert answer.status == 503
        assert answer.json == {
            "message": "The service is down for maintenance. Try again later.",
            "extra": {},
            "request_id": answer.request_id,
        }
        assert answer.headers["Retry-After"] == "300"
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    evil = site.get("/api/users/", headers={"Origin": "https://evil.test"})
    assert evil.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.destructive
def test_a_front_end_may_ask_during_maintenance(closed: Host, site: Site) -> None:
    """A browser that is refused the preflight shows the front end no answer at all."""
    asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,content-type"}
    for origin in inventory.variables(closed).get("project_frontend_origins", []):
        answer = site.ask("OPTIONS", "/api/users/", headers={**asked, "Origin": origin})
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    evil = site.ask("OPTIONS", "/api/users/", headers={**asked, "Origin": "https://evil.test"})
    assert evil.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.destructive
def test_health_is_told_during_maintenance(closed: Host, site: Site) -> None:
    """Also to a browser, and by the application itself."""
    answer = site.get("/health/ready/", headers=BROWSER)
    assert (answer.status, answer.json["checks"]["database"]) == (200, "ok")


@pytest.mark.destructive
def test_a_front_end_is_replaced_by_the_page_during_maintenance(
    closed: Host, frontends: list[tuple[Site, Path]], page: bytes
) -> None:
    """But what an open page loads stays, so that it can show the API's answer."""
    for frontend, build in frontends:
        assert [frontend.get(path, headers=BROWSER).status for path in ("/", "/a/page")] == [503, 503]
        assert frontend.get("/", headers=BROWSER).body == page
        script = next(build.glob("assets/*.js"))
        assert [frontend.get(path).status for path in (f"/assets/{script.name}", "/config.json")] == [200, 200]


@pytest.mark.destructive
def test_maintenance_survives_the_end_of_the_proxy(closed: Host, site: Site) -> None:
    closed.check_output("systemctl restart nginx")
    assert eventually(lambda: site.get("/api/auth/me/").status == 503, seconds=5)


@pytest.mark.destructive
def test_a_request_on_its_way_is_answered_when_maintenance_begins(host: Host, site: Site, page: bytes) -> None:
    connection = site.open()
    host.check_output(f"rm -f {FLAG}")
    connection.putrequest("POST", "/api/auth/login/", skip_host=True)
    for name, value in {"Host": site.domain, "Content-Type": "application/json", "Content-Length": "2"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    time.sleep(0.5)
    host.check_output(f"touch {FLAG}")
    try:
        connection.send(b"{}")
        assert connection.getresponse().status == 400
    finally:
        host.check_output(f"rm -f {FLAG}")
        connection.close()


@pytest.mark.destructive
def test_maintenance_begins_and_ends_without_a_lost_request(host: Host, site: Site, page: bytes) -> None:
    """Clients that keep their connection and others, asking for pages and for the API."""
    host.check_output(f"rm -f {FLAG}")
    over, answers, problems = threading.Event(), [], []

    def ask(keep: bool, path: str, headers: dict[str, str]) -> None:
        connection = site.open()
        while not over.is_set():
            try:
                answer = site.ask("GET", path, headers=headers, connection=connection)
                whole = len(answer.body) == int(answer.headers["Content-Length"])
                answers.append((answer.status, whole))
                if not keep:
                    connection.close()
                    connection = site.open()
            except (OSError, http.client.HTTPException) as problem:
                problems.append(repr(problem))
                connection = site.open()
            time.sleep(0.1)
        connection.close()

    requests = [("/api/docs/", BROWSER), ("/health/live/", {}), ("/admin/login/", BROWSER)]
    threads = [threading.Thread(target=ask, args=(keep, *each)) for keep in (True, False) for each in requests]
    for thread in threads:
        thread.start()
    for _ in range(10):
        host.check_output(f"touch {FLAG}; sleep 0.3; rm {FLAG}; sleep 0.3")
    over.set()
    for thread in threads:
        thread.join()
    assert not problems
    assert set(answers) == {(200, True), (503, True)}


@pytest.mark.destructive
def test_allowed_networks_see_the_site_during_maintenance(closed: Host, site: Site) -> None:
    if not inventory.variables(closed).get("nginx_maintenance_allowed_networks"):
        pytest.skip("This inventory allows nobody.")
    ask = (
        "import http.client, socket, ssl, sys\n"
        "context = ssl._create_unverified_context()\n"
        "for source in ('127.0.0.8', '127.0.0.9'):\n"
        "    connection = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[1]), context=context,"
        " source_address=(source, 0))\n"
        "    connection.request('GET', '/api/auth/me/', headers={'Host': sys.argv[2]})\n"
        "    print(connection.getresponse().status)\n"
    )
    statuses = closed.check_output("python3 -c %s %s %s", ask, str(site.https_port), site.domain)
    assert statuses.split() == ["503", "401"]
