import gzip
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import inventory
import pytest
from support import events, eventually

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slipway, pytest.mark.group("web"), pytest.mark.units("nginx", "slipway-web@*")]

HSTS = "max-age=31536000"
FOR_GOOD = "public, max-age=31536000, immutable"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FLAG = "/etc/nginx/maintenance/slipway/on"


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
    assert answer.headers["Location"] == f"{site.origin}{path}"


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
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert b"{" in gzip.decompress(answer.body)


def test_static_files_are_served_plain_to_who_asks_for_that(site, stylesheet):
    answer = site.get(stylesheet, headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["Content-Type"] == "text/css"


def test_static_files_are_kept_by_browsers_for_good(site, stylesheet):
    answer = site.get(stylesheet)
    assert answer.headers.get_all("Cache-Control") == [FOR_GOOD]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_a_static_file_that_a_release_may_change_is_asked_for_anew(site):
    path = "/static/admin/css/base.css"
    answer = site.get(path)
    assert (answer.status, answer.headers.get_all("Cache-Control")) == (200, ["no-cache"])
    again = site.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.headers.get_all("Cache-Control")) == (304, ["no-cache"])


@pytest.mark.parametrize("path", ["/static/gone.0123456789ab.css", "/static/gone.css"])
def test_a_missing_static_file_is_not_remembered(site, path):
    answer = site.get(path)
    assert (answer.status, answer.headers["Cache-Control"]) == (404, None)


def test_the_list_of_static_files_is_nobody_s_business(site):
    assert site.get("/static/").status in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/static../bin/web",
        "/static/../bin/web",
        "/static/%2e%2e/bin/web",
        "/static/..%2fbin/web",
        "/static/admin/%2e%2e/%2e%2e/.complete",
        "/static//../.complete",
        "/static/../current/environment",
    ],
)
def test_nothing_beside_the_static_files_is_served(site, path):
    assert site.get(path).status in (400, 404)


CURRENT = "/srv/slipway/current/release/staticfiles"
EARLIER = "/srv/slipway/static"


@pytest.fixture
def static(host):
    """A function that writes a file below one of the folders of static files; all are removed at the end."""
    written = []
    existed = host.file(EARLIER).exists

    def write(folder, name, content):
        host.check_output("mkdir -p %s", folder)
        host.check_output("printf %s %s >%s", "%s", content, f"{folder}/{name}")
        written.append(f"{folder}/{name}")

    yield write
    for path in written:
        host.check_output("rm %s", path)
    if not existed:
        host.run("rmdir %s", EARLIER)


@pytest.mark.destructive
@pytest.mark.parametrize(("name", "cache"), [("tested.0123456789ab.css", FOR_GOOD), ("tested.css", "no-cache")])
def test_a_static_file_of_an_earlier_release_is_still_served(site, static, name, cache):
    static(EARLIER, name, "earlier")
    static(EARLIER, f"{name}.gz", "compressed")
    answer = site.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"earlier", "text/css")
    assert answer.headers.get_all("Cache-Control") == [cache]
    assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert site.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"}).body == b"compressed"


@pytest.mark.destructive
def test_a_static_file_of_the_running_release_comes_first(site, static):
    static(EARLIER, "tested.css", "earlier")
    static(CURRENT, "tested.css", "current")
    assert site.get("/static/tested.css").body == b"current"


@pytest.mark.destructive
def test_no_earlier_release_is_no_problem(host, site, stylesheet):
    host.run(f"mv {EARLIER} {EARLIER}.away")
    try:
        assert [site.get(path).status for path in (stylesheet, "/static/gone.css")] == [200, 404]
    finally:
        host.run(f"mv {EARLIER}.away {EARLIER}")


@pytest.mark.destructive
@pytest.mark.parametrize("folder", [CURRENT, EARLIER])
def test_what_hides_or_leads_elsewhere_is_not_served(host, site, static, folder):
    static(folder, ".hidden", "hidden")
    static(folder, "link.css", "")
    host.check_output(f"ln -sf /etc/hostname {folder}/link.css")
    assert [site.get(f"/static/{name}").status for name in (".hidden", "link.css")] == [404, 403]


@pytest.fixture
def frontends(host, site):
    """The front ends that this host serves, each as a site, with the folder of its build."""
    served = inventory.variables(host).get("project_frontends")
    if not served:
        pytest.skip("This inventory serves no front end.")
    return [(site.beside(frontend["domain"]), Path(frontend["path"])) for frontend in served]


@pytest.mark.parametrize("path", ["/", "/a/page/of/the/app"])
def test_every_path_of_a_front_end_is_its_page(frontends, path):
    for frontend, build in frontends:
        answer = frontend.get(path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
        assert answer.body == build.joinpath("index.html").read_bytes()
        assert answer.headers.get_all("Cache-Control") == ["no-cache"]


def test_what_a_front_end_loads_is_kept_by_browsers_for_good(frontends):
    for frontend, build in frontends:
        script = next(build.glob("assets/*.js"))
        answer = frontend.get(f"/assets/{script.name}", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(answer.body) == script.read_bytes()
        assert answer.headers.get_all("Cache-Control") == ["public, max-age=31536000, immutable"]
        assert frontend.get("/assets/gone.js").status == 404


def test_a_front_end_learns_where_the_api_is(frontends, site):
    for frontend, _ in frontends:
        assert frontend.get("/config.json").json == {"api": site.origin}


def test_a_front_end_may_load_from_nowhere_else(frontends, site):
    for frontend, _ in frontends:
        answer = frontend.get("/")
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["connect-src"] == f"'self' {site.origin}"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        # Announced only: nginx refuses before it reads.
        (413, "POST", "/api/auth/logout/", {"Content-Length": str(2**30)}),
        (405, "TRACE", "/api/auth/me/", {}),
        (405, "POST", "/static/admin/css/base.css", {}),
        (400, "GET", "/api/users/", {"Authorization": "a" * 9000}),
    ],
)
def test_an_error_of_the_proxy_has_the_shape_of_the_api_s(host, site, status, method, path, headers):
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


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_only_logins_are_slowed_down(site, method):
    """A browser asks with OPTIONS before each login from another origin."""
    connection = site.open()
    statuses = [site.ask(method, "/api/auth/login/", connection=connection).status for _ in range(15)]
    connection.close()
    assert 429 not in statuses


@pytest.mark.destructive
def test_a_burst_of_logins_is_slowed_down(site):
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


def test_the_proxy_returns_after_a_boot(host):
    assert host.service("nginx").is_enabled
    assert host.service("nginx").is_running


# --- maintenance ---------------------------------------------------------------------------------------------------


def play(host, playbook, *options):
    """Run a playbook of the repository for this host alone."""
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory.variables(host)["inventory_dir"]]
    command += ["--limit", host.backend.host, f"ansible/{playbook}", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def page(host):
    """What browsers are shown during maintenance; it is there once the playbook has turned it on."""
    done = play(host, "maintenance.yml", "-e", "maintenance=on")
    assert done.returncode == 0, done.stdout
    yield host.file("/etc/nginx/maintenance/slipway/page.html").content
    done = play(host, "maintenance.yml", "-e", "maintenance=off")
    assert done.returncode == 0, done.stdout


@pytest.fixture
def closed(host, page):
    """The host, in maintenance."""
    host.check_output(f"touch {FLAG}")
    yield host
    host.check_output(f"rm -f {FLAG}")


@pytest.mark.destructive
def test_maintenance_begins_and_ends_at_once(host, site):
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
def test_maintenance_is_on_or_off(host):
    done = play(host, "maintenance.yml", "-e", "maintenance=perhaps")
    assert done.returncode != 0
    assert "`make maintenance STATE=on`" in done.stdout + done.stderr
    assert not host.file(FLAG).exists


@pytest.mark.destructive
@pytest.mark.parametrize("path", ["/", "/admin/", "/no/such/page/", "/static/gone.css"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_browser_is_shown_the_page_during_maintenance(closed, site, page, method, path):
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
def test_a_front_end_can_read_the_api_s_answer_during_maintenance(closed, site, method, headers):
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
def test_a_front_end_may_ask_during_maintenance(closed, site):
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
def test_health_is_told_during_maintenance(closed, site):
    """Also to a browser, and by the application itself."""
    answer = site.get("/health/ready/", headers=BROWSER)
    assert (answer.status, answer.json["checks"]["database"]) == (200, "ok")


@pytest.mark.destructive
def test_a_front_end_is_replaced_by_the_page_during_maintenance(closed, frontends, page):
    """But what an open page loads stays, so that it can show the API's answer."""
    for frontend, build in frontends:
        assert [frontend.get(path, headers=BROWSER).status for path in ("/", "/a/page")] == [503, 503]
        assert frontend.get("/", headers=BROWSER).body == page
        script = next(build.glob("assets/*.js"))
        assert [frontend.get(path).status for path in (f"/assets/{script.name}", "/config.json")] == [200, 200]


@pytest.mark.destructive
def test_maintenance_survives_the_end_of_the_proxy(closed, site):
    closed.check_output("systemctl restart nginx")
    assert eventually(lambda: site.get("/api/auth/me/").status == 503, seconds=5)


@pytest.mark.destructive
def test_a_request_on_its_way_is_answered_when_maintenance_begins(host, site, page):
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
def test_maintenance_begins_and_ends_without_a_lost_request(host, site, page):
    """Clients that keep their connection and others, asking for pages and for the API."""
    host.check_output(f"rm -f {FLAG}")
    over, answers, problems = threading.Event(), [], []

    def ask(keep, path, headers):
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
def test_who_may_look_before_others_sees_the_site_during_maintenance(closed, site):
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


# --- configurations that nginx refuses -----------------------------------------------------------------------------


def unit(host, *options):
    """Ask the module `unit` to run nginx with what is on disk."""
    arguments = {"name": "nginx", "reload_for": ["/etc/nginx/conf.d/slipway.conf"]}
    command = [Path(sys.executable).with_name("ansible"), host.backend.host, "--become", *options]
    command += ["-i", inventory.variables(host)["inventory_dir"], "-m", "unit", "-a", json.dumps(arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.destructive
def test_a_reload_that_nginx_refuses_is_noticed_until_it_is_not_refused(host, site):
    """`nginx -t` finds nothing wrong with another key for a zone that the running nginx knows."""
    old = "/run/slipway.conf.old"
    host.check_output(f"cp -p /etc/nginx/conf.d/slipway.conf {old}")
    try:
        other_key = "s/limit_req_zone $login_client_slipway/limit_req_zone $remote_port/"
        host.check_output("sed -i %s /etc/nginx/conf.d/slipway.conf", other_key)
        host.check_output("nginx -t -q")
        refused = unit(host)
        assert refused.returncode != 0
        assert re.search(
            r'\[emerg\] .*limit_req "logins_slipway" uses the "\$remote_port"', refused.stdout + refused.stderr
        )
        assert "systemctl restart nginx" in " ".join((refused.stdout + refused.stderr).split())
        assert site.get("/health/live/").status == 200
        assert "- reload" in unit(host, "--check").stdout
    finally:
        host.check_output(f"mv {old} /etc/nginx/conf.d/slipway.conf")
    assert unit(host).returncode == 0
    assert "- reload" not in unit(host, "--check").stdout


@pytest.mark.destructive
def test_a_broken_configuration_replaces_nothing(host, site):
    before = host.file("/etc/nginx/conf.d/slipway.conf").sha256sum
    options = ["--tags", "nginx_configure,nginx_service", "-e", "nginx_certificate_path=/etc/ssl/no-such-folder"]
    refused = play(host, "site.yml", *options)
    assert refused.returncode != 0
    assert "cannot load certificate" in refused.stdout + refused.stderr
    assert host.file("/etc/nginx/conf.d/slipway.conf").sha256sum == before
    assert site.get("/health/live/").status == 200
