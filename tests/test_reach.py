"""Who asks an ACME server learns first which names it would not find."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.modules import reach

PATH = "/.well-known/acme-challenge/question"
SITE = {"shop.example": ["127.0.0.1"], "away.example": ["127.0.0.2"], "both.example": ["127.0.0.1", "127.0.0.2"]}
SITE |= {"six.example": ["127.0.0.1", "2001:db8::1"], "other.example": ["127.0.0.1"]}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """The right answer for one name, and a page of another program for every other."""
        right = self.path == PATH and self.headers["Host"] != "other.example"
        self.send_response(200 if right else 404)
        self.end_headers()
        self.wfile.write(b"web1" if right else b"Not found")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A web host at 127.0.0.1, and none at 127.0.0.2."""
    real = socket.getaddrinfo

    def look_up(name: str, port: int, *options: int, **more: int) -> list[tuple[Any, ...]]:
        if name == "typo.example":
            raise socket.gaierror(-2, "Name or service not known")
        return [each for address in SITE.get(name, [name]) for each in real(address, port, *options, **more)]

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(reach, "PORT", server.server_port)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    server.shutdown()
    server.server_close()


def problems(*names: str, path: str | None = PATH) -> list[str]:
    return list(reach.problems(list(names), path, "web1"))


def test_a_name_that_leads_here_is_fine() -> None:
    assert problems("shop.example") == []


@pytest.mark.parametrize("path", [None, PATH])
def test_a_name_that_nobody_knows_is_named(path: str | None) -> None:
    assert problems("shop.example", "typo.example", path=path) == [
        "typo.example is not in DNS: let it lead to the web hosts, or take it from certificates_names."
    ]


@pytest.mark.parametrize("name", ["away.example", "both.example"])
def test_each_address_without_the_port_is_named(name: str) -> None:
    [sentence] = problems(name)
    assert sentence.startswith(
        f"{name} leads to 127.0.0.2, where port {reach.PORT} does not answer (Connection refused): "
    )


def test_an_address_where_somebody_else_answers_is_named() -> None:
    assert problems("other.example") == [
        "other.example leads to 127.0.0.1, where another program answers (404): correct DNS, or whatever is in front."
    ]


def test_a_name_may_be_looked_up_alone() -> None:
    assert problems("away.example", path=None) == []


def test_a_network_that_this_machine_lacks_is_no_problem_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many controllers have no IPv6."""
    real = reach.ask

    def ask(name: str, address: str, path: str) -> tuple[int, str]:
        if ":" in address:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return real(name, address, path)

    monkeypatch.setattr(reach, "ask", ask)
    assert problems("six.example") == []
