"""What a release has to show before and after it gets the traffic, and how the one before it goes."""

from __future__ import annotations

import http.server
import os
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import probe, systemd
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots
from ansible_collections.slipway.host.plugins.modules import status
from release_host import PROCESSES, PlayedHost, make_project

# --- one answer


REDIRECTS = {
    "/home": "/en/200",
    "/far": "https://shop.example/200",
    "/broken": "/en/500",
    "/away": "https://login.example/200",
    "/loop": "https://shop.example/loop",
    # Leads to itself until the visitor has a cookie.
    "/first": "/first",
}


class Web(http.server.BaseHTTPRequestHandler):
    """Web processes that answer what the path of the request says."""

    def do_GET(self) -> None:
        assert self.headers["X-Request-ID"] == systemd.PROBE_ID
        wrong_host = self.headers["Host"] != "shop.example" or self.headers["X-Forwarded-Proto"] != "https"
        target = REDIRECTS.get(self.path)
        if self.path == "/first" and self.headers["Cookie"] == "a=1; b=2":
            target = "/200"
        status = 302 if target else int(self.path.rpartition("/")[2] or 404)
        self.send_response(400 if wrong_host else status)
        if target:
            self.send_header("Location", target)
            self.send_header("Set-Cookie", "a=1; Path=/; HttpOnly")
            self.send_header("Set-Cookie", "b=2; Secure")
            self.send_header("Set-Cookie", "a/b=3")
        self.end_headers()
        self.wfile.write(b"because")

    def log_message(self, format: str, *arguments: object) -> None: ...

    def address_string(self) -> str:
        return "here"


@pytest.fixture
def slots() -> Iterator[Slots]:
    """Slots of which blue has web processes. Their path is short, as that of a socket has to be."""
    with tempfile.TemporaryDirectory() as root:
        slots = Slots(make_project(Path(root)))
        os.makedirs(slots.path("blue"))
        with socketserver.UnixStreamServer(slots.path("blue", "web.sock"), Web) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield slots
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("path", "ok", "text"),
    [
        ("/200", True, "200"),
        ("/301", False, "301 because"),
        # A redirect is as good as the page that it leads to, where that is the project's.
        ("/home", True, "200"),
        ("/far", True, "200"),
        ("/broken", False, "500 because"),
        ("/away", False, "302 to https://login.example/200"),
        ("/loop", False, f"302 to https://shop.example/loop and so on without end: {probe.ENDLESS}"),
        ("/first", True, "200"),
        ("/404", False, "404 because"),
        ("/503", False, "503 because"),
        # Without a path, whatever is no error of the server will do.
        ("", True, "404"),
    ],
)
def test_only_a_200_is_healthy(slots: Slots, path: str, ok: bool, text: str) -> None:
    answer = probe.Probe("shop.example", path).request(slots, "blue")
    assert (answer.ok, answer.text) == (ok, text)


def test_a_first_page_that_leads_to_an_error_is_not_healthy(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REDIRECTS, "/", "/en/500")
    answer = probe.Probe("shop.example", "").request(slots, "blue")
    assert (answer.ok, answer.text) == (False, "500 because")


def test_the_probe_asks_as_the_proxy_does(slots: Slots) -> None:
    assert probe.Probe("other.example", "/200").request(slots, "blue").text == "400 because"


def test_no_answer_is_no_health(slots: Slots) -> None:
    answer = probe.Probe("shop.example", "/200").request(slots, "green")
    assert (answer.ok, answer.text) == (False, "[Errno 2] No such file or directory")


@pytest.mark.parametrize(("path", "ok", "text"), [("/200", True, "200"), ("/503", False, "503 because")])
def test_status_shows_the_answer(slots: Slots, path: str, ok: bool, text: str) -> None:
    os.symlink("slots/blue", slots.current)
    project = make_project(Path(slots.root), health_path=path)
    host = status.Host(project)
    assert host.health({"web": {"state": "active", "restarts": 0}}) == {"ok": ok, "answer": text}
    # The socket would start them.
    stopped = host.health({"web": {"state": "inactive", "restarts": 0}})
    assert stopped == {"ok": False, "answer": "not asked: web does not run"}
    assert host.health({"worker": {"state": "active", "restarts": 0}}) is None


def test_status_says_that_a_project_never_served(slots: Slots) -> None:
    """It once showed a host with a project that had not come so far as one without any."""
    host = status.Host(make_project(Path(slots.root)))
    processes = host.processes()
    assert processes == {name: {"state": "inactive", "restarts": 0} for name in PROCESSES}
    assert host.health(processes) == {"ok": False, "answer": "not asked: nothing serves yet"}


# --- from one release to the next


@pytest.fixture
def ready(shop: PlayedHost) -> PlayedHost:
    """OLD serves in blue, and NEW is built in green."""
    shop.serve("blue")
    shop.is_tried()
    return shop


def is_as_before(shop: PlayedHost) -> bool:
    """Whether OLD serves with all its processes, and nothing else runs or is recorded."""
    alone = (shop.runs("blue"), shop.runs("green")) == (set(PROCESSES), set())
    return shop.serving == "OLD" and alone and [release for _, release, _ in shop.history] == ["OLD"]


def test_a_release_that_is_not_ready_gets_no_traffic(ready: PlayedHost, unhealthy: set[str]) -> None:
    unhealthy.add("green")
    with pytest.raises(UserError, match=r"It was not ready within 1 s at /: 500\."):
        ready.take("switch")
    assert is_as_before(ready)


def test_a_release_whose_process_does_not_start_gets_no_traffic(ready: PlayedHost) -> None:
    ready.systemd.failing.add("shop-web@green.service")
    with pytest.raises(UserError, match=r"shop-web@green\.service failed to start") as refused:
        ready.take("switch")
    assert refused.value.journal == ["it said why"]
    assert is_as_before(ready)


def test_a_release_that_becomes_unhealthy_gives_the_traffic_back(
    ready: PlayedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(self: probe.Probe, slots: Slots, slot: str) -> probe.Answer:
        return probe.Answer(slots.serving() == "blue", "500")

    monkeypatch.setattr(probe.Probe, "request", request)
    with pytest.raises(UserError, match=r"It became unhealthy after the switch: 500\."):
        ready.take("switch", {"grace_seconds": 2})
    assert is_as_before(ready)


def test_a_worker_that_ends_soon_gives_the_traffic_back(ready: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def request(self: probe.Probe, slots: Slots, slot: str) -> probe.Answer:
        ready.systemd.active.discard("shop-worker@green.service")
        return probe.Answer(True, "200")

    monkeypatch.setattr(probe.Probe, "request", request)
    with pytest.raises(UserError, match=r"shop-worker@green\.service ended soon after the switch"):
        ready.take("switch", {"grace_seconds": 2})
    assert is_as_before(ready)


def test_a_worker_that_does_not_start_gives_the_traffic_back(ready: PlayedHost) -> None:
    ready.systemd.failing.add("shop-worker@green.service")
    with pytest.raises(UserError, match=r"shop-worker@green\.service failed to start"):
        ready.take("switch")
    assert is_as_before(ready)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_ends_later_takes_the_host_back(ready: PlayedHost, name: str) -> None:
    """It once went on ending for ever, behind a deploy that had ended well."""
    ready.take("switch")
    ready.systemd.restarts[f"shop-{name}@green.service"] = 1
    with pytest.raises(UserError, match=rf"shop-{name}@green\.service ended soon after the switch: it said why\."):
        ready.take("watch")
    ready.take("abort", failed_step="See that every process goes on")
    assert (ready.serving, ready.runs("blue"), ready.runs("green")) == ("OLD", set(PROCESSES), set())
    assert ready.history[1:] == [("deploy", "NEW", "good"), ("return", "OLD", "good")]
    assert ready.is_free


def test_a_deploy_waits_until_each_process_has_run_for_long(ready: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    youngest = "shop-worker@green.service"

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        ready.systemd.seconds[youngest] += seconds

    ready.take("switch")
    ready.systemd.seconds[youngest] = 17.5
    monkeypatch.setattr(time, "sleep", sleep)
    # What runs for a moment more or less is not played.
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    ready.take("watch", {"watch_seconds": 20})
    assert waits == [1, 1, 0.5]


@pytest.mark.parametrize(("seconds", "is_kept"), [(5, False), (25, True)])
def test_what_ends_again_and_again_is_not_kept(shop: PlayedHost, seconds: int, is_kept: bool) -> None:
    shop.serve("blue")
    unit = "shop-beat@blue.service"
    shop.systemd.restarts[unit], shop.systemd.seconds[unit] = 3, seconds
    begun = shop.take("begin", {"watch_seconds": 20}, kind="converge", release="OLD")
    assert begun["needed"] is not is_kept


def test_never_do_two_clocks_run(ready: PlayedHost) -> None:
    ready.take("switch")
    calls = ready.systemd.calls
    assert calls.index(("stop", "shop-beat@blue.service")) < calls.index(("start", "shop-beat@green.service"))


def test_one_bad_answer_is_forgiven(ready: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = [True]

    def request(self: probe.Probe, slots: Slots, slot: str) -> probe.Answer:
        return probe.Answer(not (slots.serving() == "green" and bad and bad.pop()), "500")

    monkeypatch.setattr(probe.Probe, "request", request)
    ready.take("switch", {"grace_seconds": 1})
    assert (ready.serving, bad) == ("NEW", [])


def test_who_waits_for_the_old_release_is_answered_before_it_stops(ready: PlayedHost) -> None:
    ready.systemd.queues += [3, 1, 0, 2, 0, 0, 0, 0]
    ready.take("switch", {"drain_timeout_seconds": 20})
    assert ready.systemd.queues == []
    asked = ("ss", f"unix:{ready.root}/run/blue.sock")
    stopped = ("stop", "shop-web@blue.socket")
    last_asked = max(index for index, call in enumerate(ready.systemd.calls) if call == asked)
    assert last_asked < ready.systemd.calls.index(stopped)
    assert ready.runs("blue") == set()


def test_who_waits_for_ever_does_not_keep_the_old_release(ready: PlayedHost) -> None:
    ready.systemd.queues += [1] * 1000
    ready.take("switch", {"drain_timeout_seconds": 1})
    assert ready.runs("blue") == set()


def test_a_boot_starts_what_was_switched_to(ready: PlayedHost) -> None:
    ready.take("switch")
    assert ("enable", "shop.service") in ready.systemd.calls


def test_a_host_without_web_processes_switches_too(ready: PlayedHost, unhealthy: set[str]) -> None:
    unhealthy.update({"blue", "green"})
    ready.take("switch", {"processes": ["worker"]})
    assert (ready.serving, ready.runs("green")) == ("NEW", {"worker"})
