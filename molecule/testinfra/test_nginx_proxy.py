"""What passes between nginx and an application, seen with an application that tells."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import inventory
import pytest
from support import Site, events, eventually
from testinfra.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.slipway,
    pytest.mark.group("web"),
    pytest.mark.destructive,
    pytest.mark.units("nginx", "tested"),
]

# Answers with the headers that it got, or with large ones, or with one event each second.
APPLICATION = """
import http.server, json, os, socketserver, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        for number in range(25 if self.path == "/large" else 0):
            self.send_header(f"X-Large-{number}", "a" * 1000)
        self.send_header("X-Accel-Buffering", "no")
        self.end_headers()
        for number in range(3 if self.path == "/events" else 0):
            self.wfile.write(b"data: event\\n\\n")
            time.sleep(1)
        self.wfile.write(json.dumps(dict(self.headers)).encode())

    do_POST = do_GET

    def log_message(self, *words):
        pass

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 100

os.umask(0)
Server("/run/tested.sock", Handler).serve_forever()
"""
CONFIGURATION = "/etc/nginx/conf.d/slipway.conf"
FORGED = {
    "X-Real-IP": "6.6.6.6",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Port": "6666",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Server": "evil.test",
    "Forwarded": "for=6.6.6.6",
    "X-Client-IP": "6.6.6.6",
    "X_Forwarded_For": "6.6.6.6",
}


@pytest.fixture(scope="module")
def application(host: Host) -> Iterator[None]:
    """Serves in the place of the application of the host."""
    host.check_output("cp -p %s /run/slipway.conf.old", CONFIGURATION)
    host.check_output("systemd-run --unit=tested python3 -c %s", APPLICATION)
    host.check_output("sed -i 's|unix:/srv/.*web.sock|unix:/run/tested.sock|' %s", CONFIGURATION)
    try:
        eventually(lambda: host.file("/run/tested.sock").exists, seconds=10)
        host.check_output("systemctl reload nginx")
        # Workers that go answer for a moment more.
        time.sleep(1)
        yield
    finally:
        host.check_output("mv /run/slipway.conf.old %s", CONFIGURATION)
        host.check_output("systemctl reload nginx")
        host.check_output("systemctl stop tested && rm -f /run/tested.sock")


def test_a_client_cannot_say_where_it_comes_from_and_leads_to(application: None, site: Site) -> None:
    seen = site.get("/", headers=FORGED).json
    clients = {seen[name] for name in ("X-Real-IP", "X-Forwarded-For")}
    assert len(clients) == 1
    assert not {"6.6.6.6", "evil.test"} & set(seen.values())
    host_header = site.host_header(site.https_port, 443)
    assert (seen["Host"], seen["X-Forwarded-Host"]) == (host_header, host_header)
    assert (seen["X-Forwarded-Port"], seen["X-Forwarded-Proto"]) == (str(site.https_port), "https")
    assert not {"X-Forwarded-Server", "Forwarded", "X-Client-IP", "X_Forwarded_For"} & set(seen)


def test_the_host_of_an_absolute_address_is_the_one_that_counts(application: None, site: Site) -> None:
    seen = site.get(f"https://{site.domain}/", host="evil.test").json
    assert (seen["Host"], seen["X-Forwarded-Host"]) == (site.domain, site.domain)


def test_the_application_is_told_one_length(application: None, site: Site) -> None:
    connection = site.open()
    headers = {"Host": site.host_header(site.https_port, 443), "Transfer-Encoding": "chunked"}
    connection.request("POST", "/", body=iter([b"four"]), headers=headers, encode_chunked=True)
    seen = json.loads(connection.getresponse().read())
    connection.close()
    assert seen["Content-Length"] == "4"
    assert "Transfer-Encoding" not in seen


def test_an_answer_may_have_large_headers(application: None, site: Site) -> None:
    answer = site.get("/large")
    assert (answer.status, len(answer.headers["X-Large-24"])) == (200, 1000)


def test_events_arrive_as_they_are_sent(application: None, site: Site) -> None:
    connection = site.open()
    connection.request("GET", "/events", headers={"Host": site.host_header(site.https_port, 443)})
    answer = connection.getresponse()
    arrivals = []
    while answer.readline().startswith(b"data: "):
        arrivals.append(time.monotonic())
        answer.readline()
    connection.close()
    assert len(arrivals) == 3
    assert arrivals[2] - arrivals[0] > 1.5


def test_one_client_leaves_room_for_the_others(application: None, host: Host, site: Site) -> None:
    connections = [site.open() for _ in range(25)]
    for connection in connections:
        connection.request("GET", "/events", headers={"Host": site.host_header(site.https_port, 443)})
    statuses = [connection.getresponse().status for connection in connections]
    other = ask(host, site, STRANGER, "GET", "/", [""])
    for connection in connections:
        connection.close()
    assert Counter(statuses) == {200: 20, 429: 5}
    assert other[0][0] == 200


# --- proxies in front of nginx

# Runs on the host, which has all addresses that begin with 127: one request for each list of hops.
ASK = """
import http.client, json, ssl, sys
source, port, domain, method, path, lists = json.loads(sys.argv[1])
answers = []
for hops in lists:
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, source_address=(source, 0))
    connection.request(method, path, headers={"Host": domain, "X-Forwarded-For": hops})
    answer = connection.getresponse()
    answers.append([answer.status, answer.read().decode()])
print(json.dumps(answers))
"""
PROXY, STRANGER, MEMBER = "127.0.0.7", "127.0.0.8", "127.0.0.9"


@pytest.fixture
def trusting(host: Host) -> None:
    if PROXY + "/32" not in inventory.variables(host).get("nginx_trusted_proxies", []):
        pytest.skip("This inventory trusts no proxy on the host itself.")


def ask(host: Host, site: Site, source: str, method: str, path: str, lists: list[str]) -> list[tuple[int, str]]:
    """Ask through a proxy: the status and the body of each answer."""
    words = json.dumps([source, site.https_port, site.domain, method, path, lists])
    found: list[tuple[int, str]] = json.loads(host.check_output("python3 -c %s %s", ASK, words))
    return found


@pytest.mark.parametrize(
    ("source", "hops", "known"),
    [
        (PROXY, "203.0.113.9", "203.0.113.9"),
        (PROXY, "2001:db8::9", "2001:db8::9"),
        # What the client sent comes first, and the proxies that are trusted last.
        (PROXY, "6.6.6.6, 203.0.113.9, 10.99.0.1", "203.0.113.9"),
        (STRANGER, "6.6.6.6", STRANGER),
        (STRANGER, "6.6.6.6, 10.99.0.1", STRANGER),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(
    trusting: None, application: None, host: Host, site: Site, source: str, hops: str, known: str
) -> None:
    """And nobody else. The application hears it, and the journal has it."""
    ((_, body),) = ask(host, site, source, "GET", "/", [hops])
    seen = json.loads(body)
    assert (seen["X-Real-IP"], seen["X-Forwarded-For"]) == (known, known)
    (event,) = eventually(lambda: events(host, seen["X-Request-ID"]), seconds=10)
    assert event["client"] == known


def test_clients_behind_a_proxy_are_limited_each_by_itself(
    trusting: None, application: None, host: Host, site: Site
) -> None:
    """Who has 64 bits of IPv6 is one of them."""
    # Another one in each run, since a limit takes some time to forget.
    network = f"2001:db8:{int(time.time()) % 2**16:x}"
    one = [f"{network}:1::{number:x}" for number in range(16)]
    others = [f"203.0.113.{number}" for number in range(16)]
    others += [f"{network}:{number + 2:x}::1" for number in range(16)]
    limited = [status for status, _ in ask(host, site, PROXY, "POST", "/api/auth/login/", one)]
    assert limited[:11] == [200] * 11
    assert 429 in limited[11:]
    assert {status for status, _ in ask(host, site, PROXY, "POST", "/api/auth/login/", others)} == {200}


@pytest.mark.parametrize("path", ["/internal/page", "//internal/", "/%69nternal/", "/x/../internal/", "/internal/../x"])
def test_a_private_path_is_for_its_networks(application: None, host: Host, site: Site, path: str) -> None:
    if not inventory.variables(host).get("nginx_private_paths"):
        pytest.skip("This inventory has no private path.")
    ((refused, body),) = ask(host, site, STRANGER, "GET", path, [MEMBER])
    assert (refused, json.loads(body)["message"]) == (403, "This is not allowed from here.")
    ((status, _),) = ask(host, site, MEMBER, "GET", path, [STRANGER])
    assert status == 200
