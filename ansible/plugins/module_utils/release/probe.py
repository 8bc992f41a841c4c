"""Questions about a slot's health, asked as the proxy will ask them, through the slot's own socket."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import time
import urllib.parse
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd

if TYPE_CHECKING:
    from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots

READY_ANSWERS = 3
# Failures in a row before a release that serves counts as unhealthy.
UNHEALTHY_ANSWERS = 2
# More in a row lead nowhere; browsers give up too.
REDIRECTS = 10
ENDLESS = (
    'if SECURE_SSL_REDIRECT is on, the settings need SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")'
)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class Answer:
    """Whether a slot is healthy, and what it said: the status of a good answer, or what came instead."""

    ok: bool
    text: str


class Probe:
    def __init__(self, host: str, path: str, timeout_seconds: int = 0) -> None:
        self.host, self.path, self.timeout_seconds = host, path, timeout_seconds

    def request(self, slots: Slots, slot: str) -> Answer:
        """One answer, that of the page where redirects of the project lead to. Without a path, any that is no error of
        the server is as good as a 200."""
        socket_path, path, cookies = slots.path(slot, "web.sock"), self.path or "/", SimpleCookie()
        try:
            for _ in range(REDIRECTS):
                status, said, location = self.ask(socket_path, path, cookies)
                target = urllib.parse.urlsplit(urllib.parse.urljoin(f"https://{self.host}{path}", location))
                if not location or target.hostname != self.host:
                    break
                path = urllib.parse.urlunsplit(("", "", target.path or "/", target.query, ""))
            else:
                return Answer(False, f"{status} to {location} and so on without end: {ENDLESS}")
            ok = status == 200 or (not self.path and status < 500)
            return Answer(ok, str(status) if ok else f"{status} to {location}" if location else f"{status} {said}")
        except (OSError, ValueError, http.client.HTTPException) as problem:
            return Answer(False, str(problem) or type(problem).__name__)

    def ask(self, socket_path: str, path: str, cookies: SimpleCookie) -> tuple[int, str, str]:
        """Ask for a page as a browser does that has these cookies: the status, the body's beginning, where it leads."""
        connection = UnixConnection(socket_path, timeout=5)
        try:
            headers = {"Host": self.host, "X-Forwarded-Proto": "https", "X-Request-ID": systemd.PROBE_ID}
            if cookies:
                headers["Cookie"] = cookies.output(attrs=[], header="", sep=";").strip()
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            for cookie in response.headers.get_all("Set-Cookie", []):
                # One with a name that only some browsers take decides nothing.
                with contextlib.suppress(CookieError):
                    cookies.load(cookie)
            location = response.getheader("Location", "") if 300 <= response.status < 400 else ""
            return response.status, response.read(300).decode(errors="replace"), location
        finally:
            connection.close()

    def await_readiness(self, slots: Slots, slot: str) -> None:
        """Wait for some good answers in a row."""
        unit = slots.unit("web", slot)
        deadline = time.monotonic() + self.timeout_seconds
        since = time.time() - 5
        restarts = systemd.states([unit])[unit].restarts
        good, last = 0, "no answer"
        while good < READY_ANSWERS:
            # One that ended has been started again, and what it said is its predecessor's.
            ended = systemd.states([unit])[unit][:2] != ("active", restarts)
            if ended or time.monotonic() > deadline:
                raise self.unready(systemd.journal(unit, since), "" if ended else last)
            answer = self.request(slots, slot)
            last = answer.text
            good = good + 1 if answer.ok else 0
            if not good:
                time.sleep(0.3)

    def unready(self, journal: list[str], last: str) -> UserError:
        """Why a release is not ready: what it answered last, or that it ended."""
        path = self.path or "/"
        if not last:
            return UserError(f"It ended before it was ready at {path}: {systemd.last_words(journal)}.", journal)
        raised = f" It logged: {said}." if (said := systemd.exception(journal).rstrip(".")) else ""
        return UserError(f"It was not ready within {self.timeout_seconds} s at {path}: {last}.{raised}", journal)

    def watch(self, slots: Slots, slot: str, grace_seconds: int) -> None:
        """Refuse a slot that does not stay healthy for the time of grace."""
        units = slots.units(slot)
        before = {unit: ("active", state.restarts) for unit, state in systemd.states(units).items()}
        deadline, since = time.monotonic() + grace_seconds, time.time() - 5
        bad = 0
        while True:
            changed = [unit for unit, state in systemd.states(units).items() if state[:2] != before[unit]]
            if changed:
                raise self.ended(changed[0], since)
            if slots.has_web:
                answer = self.request(slots, slot)
                bad = 0 if answer.ok else bad + 1
                if bad == UNHEALTHY_ANSWERS:
                    journal = systemd.journal(slots.unit("web", slot))
                    raise UserError(f"It became unhealthy after the switch: {answer.text}.", journal)
            if time.monotonic() > deadline:
                return
            time.sleep(0.25)

    def ended(self, unit: str, since: float) -> UserError:
        journal = systemd.journal(unit, since)
        return UserError(f"{unit} ended soon after the switch: {systemd.last_words(journal)}.", journal)

    def outlive(self, slots: Slots, slot: str, seconds: int) -> None:
        """Refuse a slot of which a process ended, and wait until each has run for so long."""
        since = os.stat(slots.path(slot, "definitions")).st_mtime
        while states := systemd.states(slots.services(slot)):
            for unit, state in states.items():
                if state.active != "active" or state.restarts:
                    raise self.ended(unit, since)
            missing = seconds - min(state.seconds for state in states.values())
            if missing <= 0:
                return
            time.sleep(min(missing, 1))
