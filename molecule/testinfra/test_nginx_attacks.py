"""Requests that are made to be read in two ways, to fill the host, or to hold it up."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterator

import inventory
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset
from support import Site, eventually
from testinfra.host import Host

pytestmark = [pytest.mark.slipway, pytest.mark.group("web"), pytest.mark.units("nginx")]

PATH = "/api/auth/logout/"
# As long as the one that is sent, since the length of what has it is.
HOST = "Host:".ljust(80)
# A request inside of another, for whoever reads the length of that one differently.
INNER = f"GET /smuggled HTTP/1.1\r\n{HOST}\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
LENGTH = len(INNER)


@pytest.fixture
def strict(host: Host) -> None:
    version = re.findall(r"\d+", host.run("/usr/sbin/nginx -v").stderr)
    if [int(part) for part in version[:3]] < [1, 21, 1]:
        pytest.skip("Before 1.21.1, nginx took the one of two lengths that HTTP names.")


def addressed(site: Site, text: str) -> bytes:
    return text.replace(HOST, f"Host: {site.host_header(site.https_port, 443)}".ljust(len(HOST))).encode("latin-1")


def statuses(site: Site, text: str) -> list[int]:
    """The status of each answer on a connection, until nginx closes it or has no more to say."""
    with site.handshake() as link:
        link.settimeout(2)
        link.sendall(addressed(site, text))
        said = b""
        try:
            while part := link.recv(65536):
                said += part
        except TimeoutError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", said)]


def post(headers: str, body: str = "", version: str = "1.1") -> str:
    return f"POST {PATH} HTTP/{version}\r\n{HOST}\r\n{headers}\r\n{body}"


def test_two_requests_are_two(site: Site) -> None:
    """Whoever would be fooled by the requests below, this shows."""
    assert statuses(site, post(CHUNKED, f"0;extension=1\r\n\r\n{INNER}")) == [200, 404]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(post(f"Content-Length: {LENGTH + 5}\r\n{CHUNKED}", f"0\r\n\r\n{INNER}"), id="length and chunked"),
        pytest.param(post(f"{CHUNKED}Content-Length: 4\r\n", f"{LENGTH:x}\r\n{INNER}\r\n0\r\n\r\n"), id="and reversed"),
        pytest.param(post(f"Content-Length: 0\r\nContent-Length: {LENGTH}\r\n", INNER), id="two lengths"),
        pytest.param(post(f"Content-Length: 0, {LENGTH}\r\n", INNER), id="a list of lengths"),
        pytest.param(post(f"Content-Length: +{LENGTH}\r\n", INNER), id="a sign before the length"),
        pytest.param(post("Transfer-Encoding : chunked\r\n", f"0\r\n\r\n{INNER}"), id="a space before the colon"),
        pytest.param(post("Transfer-Encoding:\r\n chunked\r\n", f"0\r\n\r\n{INNER}"), id="a folded line"),
        pytest.param(post("X: a\rTransfer-Encoding: chunked\r\n", f"0\r\n\r\n{INNER}"), id="a bare return"),
        pytest.param(post("X: a\0b\r\n"), id="a zero byte"),
        pytest.param(post("Transfer-Encoding: xchunked\r\n", f"0\r\n\r\n{INNER}"), id="almost chunked"),
        pytest.param(post("Transfer-Encoding: chunked, identity\r\n", f"0\r\n\r\n{INNER}"), id="chunked and more"),
        pytest.param(post(f"{CHUNKED}Transfer-Encoding: identity\r\n", f"0\r\n\r\n{INNER}"), id="chunked and not"),
        pytest.param(post(CHUNKED, f"0\r\n\r\n{INNER}", "1.0"), id="chunked in HTTP/1.0"),
        pytest.param(post(CHUNKED, f"1;a\nb\r\nX\r\n0\r\n\r\n{INNER}"), id="a bare newline in a chunk's extension"),
        pytest.param(post(CHUNKED, f"2\r\nXXxx45\r\n0\r\n\r\n{INNER}"), id="a chunk with another end"),
        pytest.param(post(CHUNKED, f"-1\r\n\r\n{INNER}"), id="a chunk below zero"),
        pytest.param(post(CHUNKED, f"0x0\r\n\r\n{INNER}"), id="a chunk's size with a prefix"),
        pytest.param(post(CHUNKED, f"10000000000000000\r\nX\r\n0\r\n\r\n{INNER}"), id="a chunk's size that overflows"),
        pytest.param(post("Host: evil.test\r\n"), id="two hosts"),
    ],
)
def test_a_request_with_two_meanings_is_refused_as_one(strict: None, site: Site, text: str) -> None:
    assert statuses(site, text) in ([400], [501])


def ask_http2(site: Site, method: str, path: str, headers: list[tuple[str, str]], body: str = "") -> list[str]:
    """What HTTP/2 answers to a request that no library would send: a status, or the end of the stream."""
    context = site.context()
    context.set_alpn_protocols(["h2"])
    unchecked = H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    connection = H2Connection(unchecked)
    connection.initiate_connection()
    pseudo = [(":method", method), (":scheme", "https"), (":path", path)]
    authority = [] if any(name == ":authority" for name, _ in headers) else [(":authority", site.domain)]
    connection.send_headers(1, [*pseudo, *authority, *headers], end_stream=not body)
    if body:
        connection.send_data(1, body.encode(), end_stream=True)
    with site.handshake(context) as link:
        link.sendall(connection.data_to_send())
        return list(outcome(connection, link))


def outcome(connection: H2Connection, link: ssl.SSLSocket) -> Iterator[str]:
    while part := link.recv(65536):
        for event in connection.receive_data(part):
            if isinstance(event, ResponseReceived):
                yield dict(event.headers)[b":status"].decode()
            elif isinstance(event, (StreamReset, ConnectionTerminated)):
                yield "refused"
                return
            elif isinstance(event, StreamEnded):
                return
        link.sendall(connection.data_to_send())


def test_http2_is_answered(site: Site) -> None:
    assert ask_http2(site, "POST", PATH, [("content-length", "2")], "{}") == ["200"]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        (PATH, [("content-length", "0")], INNER),
        (PATH, [("content-length", "500")], INNER),
        (PATH, [("content-length", "0"), ("content-length", str(LENGTH))], INNER),
        (PATH, [("x", "a\r\nTransfer-Encoding: chunked")], ""),
        (PATH, [("x", "a\nhost: evil.test")], ""),
        (PATH, [("x: a\r\ny", "b")], ""),
        (PATH, [("x y", "b")], ""),
        (f"{PATH} HTTP/1.1\r\nHost: evil.test", [], ""),
        (f"{PATH} HTTP/1.1", [], ""),
        ("https://evil.test/", [], ""),
        (PATH, [(":path", "/smuggled")], ""),
        (PATH, [("x", "y"), (":path", "/smuggled")], ""),
        (PATH, [(":authority", "evil.test\r\nX: y")], ""),
    ],
)
def test_http2_cannot_be_told_in_two_ways(
    strict: None, site: Site, path: str, headers: list[tuple[str, str]], body: str
) -> None:
    """What nginx tells the application is HTTP/1."""
    assert ask_http2(site, "POST", path, headers, body) in (["400"], ["501"], ["refused"])


def test_what_has_no_status_is_logged_as_json_too(host: Host, site: Site) -> None:
    """Before 1.26, nginx answers nothing here."""
    marked = f"{PATH}{time.monotonic_ns()}/"
    answered = ask_http2(site, "POST", marked, [("x y", "b")])
    journal = "journalctl --unit=nginx --output=cat --since=-1min --grep=%s"
    logged = eventually(lambda: host.run(journal, marked).stdout, seconds=10)
    assert (answered, json.loads(logged)["status"]) in ((["refused"], 0), (["400"], 400))


def test_a_body_that_announces_no_length_is_limited_too(host: Host, site: Site) -> None:
    size = 2**20
    count = int(inventory.variables(host).get("nginx_body_size_mb", 10)) + 1
    with site.handshake() as link:
        link.sendall(addressed(site, post(CHUNKED)))
        try:
            for _ in range(count):
                link.sendall(f"{size:x}\r\n{'x' * size}\r\n".encode())
        except OSError:
            # Whoever is refused need not be read to the end.
            pass
        assert link.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.once
@pytest.mark.destructive
def test_slow_clients_hold_nobody_up_and_are_cut_off(site: Site) -> None:
    """Those that never end their headers, and those that never send the body that they announce."""
    slow = addressed(site, post("Content-Length: 1000\r\n", "{"))
    bodies, headers = ([site.handshake() for _ in range(15)] for _ in range(2))
    for link in bodies:
        link.sendall(slow)
    for link in headers:
        link.sendall(slow.partition(b"Content")[0])
    began = time.monotonic()
    assert site.get("/api/auth/me/").status == 401
    # None of them was cut off by then.
    assert time.monotonic() - began < 10
    while time.monotonic() - began < 13:
        for link in headers:
            link.sendall(b"X")
        time.sleep(1)
    for link in (*bodies, *headers):
        link.settimeout(max(began + 20 - time.monotonic(), 0.1))
        try:
            said = link.recv(4096)
        except ConnectionError:
            said = b""
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")
        link.close()
