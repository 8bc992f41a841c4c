#!/usr/bin/env python3
"""Send requests to sites at a fixed rate, and say what became of each.

    load.py inventories/local [SECONDS] [RATE]

The load is open: each request is due at its time, whether or not earlier ones were answered, and its latency counts
from then, so a stall shows in all requests that it delays. Nothing is sent twice. Only hosts on private addresses get
any, and at most for an hour.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import itertools
import json
import queue
import select
import shutil
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import inventory
from support import Administrator, Answer, Secret, Site
from testinfra.host import Host

TIMEOUT_SECONDS = 15
LONGEST_SECONDS = 3600
MOST_AT_ONCE = 200
# Between the requests of one visit.
STEP_SECONDS = 0.4


# Told when it is due.
Job: TypeAlias = Callable[[float], object]


@dataclass(frozen=True)
class Request:
    name: str
    method: str
    path: str
    right: Callable[[Answer], bool]
    """Whether an answer with the right status has the right body."""
    status: int = 200
    reuse: bool = True
    """Whether its connection was used before and stays for the next one."""
    authenticated: bool = False


def is_page(answer: Answer) -> bool:
    page = answer.json
    ids = [user["id"] for user in page["results"]]
    # The count is asked for first: who is created in between is on the page alone.
    return min(page["count"], 25) <= len(ids) <= 25 and ids == sorted(ids)


LIVE = Request("health", "GET", "/health/live/", lambda answer: answer.json == {"status": "ok"})
READY = Request("readiness", "GET", "/health/ready/", lambda answer: answer.json["status"] == "ok", reuse=False)
ME = Request("me", "GET", "/api/auth/me/", lambda answer: answer.json["is_active"], authenticated=True)
USERS = Request("users", "GET", "/api/users/?limit=25", is_page, authenticated=True)
USERS_ONCE = Request("users", "GET", "/api/users/?limit=25", is_page, reuse=False, authenticated=True)
SCHEMA = Request("schema", "GET", "/api/schema/", lambda answer: b"/api/users/" in answer.body, reuse=False)
LOGIN = Request("login", "POST", "/api/auth/login/", lambda answer: answer.json["data"]["is_active"], reuse=False)
LOGOUT = Request("logout", "POST", "/api/auth/logout/", lambda answer: answer.json == {}, authenticated=True)
GONE = Request("me after logout", "GET", "/api/auth/me/", lambda answer: True, status=401, authenticated=True)
WRITE = Request("write", "POST", "/admin/users/user/add/", lambda answer: True, status=302, authenticated=True)


@dataclass(frozen=True)
class Result:
    site: str
    name: str
    due: float
    seconds: float
    late: float
    """Of these, what the load itself took until it began."""
    failure: str | None


def cause(problem: Exception) -> str:
    """What a failed request counts as."""
    kinds = {
        TimeoutError: "timeout",
        ssl.SSLError: "TLS",
        http.client.IncompleteRead: "short body",
        ConnectionError: "reset",
        http.client.HTTPException: "no HTTP",
        OSError: "network",
    }
    return next((name for kind, name in kinds.items() if isinstance(problem, kind)), "wrong body")


class Visitor:
    """Clients of one site: some keep their connections, some open one for each request."""

    def __init__(self, site: Site, account: Administrator) -> None:
        assert ipaddress.ip_address(site.address).is_private, f"{site.address} is no test host"
        self.site, self.account = site, account
        self.context = site.context()
        self.idle: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()
        self.results: list[Result] = []
        self.numbers = itertools.count(time.time_ns())
        login = site.login(account)
        assert login.status == 200, f"the login that the load needs was answered with {login.status}"
        page = site.get(WRITE.path, cookie=login.session_cookie)
        form, cookies = page.body.decode(), [value.split(";")[0] for value in page.headers.get_all("Set-Cookie") or []]
        # The form's token counts beside the same one in its cookie.
        self.cookie = Secret("; ".join({login.session_cookie, *cookies}))
        self.token = Secret(form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0])
        style = "/static/" + form.split('href="/static/')[1].split('"')[0]
        self.style = site.get(style).body
        self.STATIC = Request("static file", "GET", style, lambda answer: answer.body == self.style)
        self.STATIC_ONCE = Request("static file", "GET", style, lambda answer: answer.body == self.style, reuse=False)

    def jobs(self) -> list[Job]:
        """Forty jobs, over and over: fifteen logins a minute at ten requests a second, half of what nginx lets in."""
        every = (LIVE, USERS, self.STATIC_ONCE, READY, ME, USERS_ONCE, self.STATIC, LIVE)
        rare = {8: self.visit, 18: self.write, 28: self.once(SCHEMA)}
        return [rare.get(place) or self.once(every[place % len(every)]) for place in range(40)]

    # --- jobs: each is told when it is due

    def once(self, request: Request) -> Job:
        return lambda due: self.send(request, due, cookie=self.cookie if request.authenticated else None)

    def visit(self, due: float) -> None:
        """Log in, which sends a task; look; log out, which ends the session."""
        answer = self.send(LOGIN, due, data={"email": self.account.email, "password": self.account.password})
        if answer:
            for place, request in enumerate((ME, LOGOUT, GONE), start=1):
                time.sleep(max(0, due + place * STEP_SECONDS - time.time()))
                self.send(request, due + place * STEP_SECONDS, cookie=answer.session_cookie)

    def write(self, due: float) -> None:
        """Create a user. A second one of the same address is refused, so done twice would show."""
        email = f"load-{self.site.address}-{next(self.numbers)}@example.com"
        fields = {"csrfmiddlewaretoken": self.token, "email": email, "usable_password": "false", "_save": "Save"}
        self.send(WRITE, due, cookie=self.cookie, form=fields)

    # --- one request

    def send(self, request: Request, due: float, **options: Any) -> Answer | None:
        """Send it and remember what became of it; returns the answer if it is right."""
        connection, answer, failure = None, None, None
        began = time.time()
        try:
            try:
                connection = self.connect(request)
            except ssl.SSLError:
                raise
            except TimeoutError:
                failure = "timeout of connect"
            except OSError as problem:
                failure = f"connect: {problem.strerror or type(problem).__name__}"
            if connection:
                answer = self.ask(connection, request, **options)
                failure = self.judge(request, answer)
                if failure is None and request.reuse and connection.sock:
                    self.idle.put(connection)
                    connection = None
        except Exception as problem:
            failure = cause(problem)
        finally:
            if connection:
                connection.close()
        ended = time.time()
        if ended - began > TIMEOUT_SECONDS:
            failure = failure or "timeout"
        self.results.append(Result(self.site.address, request.name, due, ended - due, began - due, failure))
        return None if failure else answer

    def judge(self, request: Request, answer: Answer) -> str | None:
        if answer.status != request.status:
            return f"status {answer.status}"
        return None if request.right(answer) else "wrong body"

    def connect(self, request: Request) -> http.client.HTTPConnection:
        """A connection of the kind that the request wants. A server may close an idle one: RFC 9110, 9.3.1."""
        while request.reuse:
            try:
                connection = self.idle.get_nowait()
            except queue.Empty:
                break
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            if not poll.poll(0):
                return connection
            connection.close()
        connection = self.site.open(context=self.context)
        connection.sock.settimeout(TIMEOUT_SECONDS)
        return connection

    def ask(
        self,
        connection: http.client.HTTPConnection,
        request: Request,
        *,
        cookie: str | None = None,
        data: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {"Origin": self.site.origin, "Connection": "keep-alive" if request.reuse else "close"}
        return self.site.ask(
            request.method, request.path, cookie=cookie, data=data, form=form, headers=headers, connection=connection
        )


class Load:
    """Requests at `rate` a second to each site, from `with` to its end."""

    def __init__(self, visitors: list[Visitor], rate: float) -> None:
        self.visitors, self.rate = visitors, rate
        self.pool = ThreadPoolExecutor(MOST_AT_ONCE)
        self.over = threading.Event()
        self.clock = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> Load:
        self.clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        ended = not self.clock.is_alive()
        self.over.set()
        self.clock.join()
        self.pool.shutdown()
        assert not ended, f"the load ended by itself after {LONGEST_SECONDS} s"

    def run(self) -> None:
        plans = [visitor.jobs() for visitor in self.visitors]
        began = time.time()
        for place in range(int(LONGEST_SECONDS * self.rate)):
            due = began + place / self.rate
            if self.over.wait(max(0, due - time.time())):
                return
            for plan in plans:
                self.pool.submit(plan[place % len(plan)], due)


@contextlib.contextmanager
def flood(visitor: Visitor, clients: int = 60) -> Iterator[None]:
    """Clients that each write again as soon as they are answered, so that many always stand in the queue."""
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            visitor.write(time.time())

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(client)
        try:
            yield
        finally:
            over.set()


def summary(results: Collection[Result]) -> dict[str, Any]:
    """Counts and latencies of results, for a report."""
    failures = Counter(f"{result.name}: {result.failure}" for result in results if result.failure)
    times = [result.seconds for result in results]
    return {
        "requests": len(results),
        "failures": dict(failures),
        "p50_ms": share(times, 0.5),
        "p99_ms": share(times, 0.99),
        "worst_ms": share(times, 1),
        "p99_ms_of_lateness": share([result.late for result in results], 0.99),
    }


def share(seconds: Iterable[float], part: float) -> int | None:
    """The milliseconds that this part of them stays below."""
    ordered = sorted(seconds)
    return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000) if ordered else None


# --- accounts on the hosts

CREATE = (
    "password=$(head -c 24 /dev/urandom | base64) && "
    "printf '%s\\n' \"$password\" | slipway-manage user_ensure_admin --email {email} --reset-password >/dev/null && "
    'printf %s "$password"'
)
DELETE = (
    "slipway-manage shell -c 'from django.contrib.auth import get_user_model as model; "
    'model().objects.filter(email__startswith="load-").delete()\''
)


def account(host: Host) -> Administrator:
    """An administrator for the load on one host; hosts may share their database."""
    email = f"load-{host.backend.host}@example.com"
    made = host.run(CREATE.format(email=email))
    assert made.rc == 0, "slipway-manage user_ensure_admin failed"
    return Administrator(email, Secret(made.stdout))


def remove_accounts(host: Host) -> None:
    """Remove what the load wrote, and who wrote it."""
    host.run(DELETE)


def main() -> None:
    path, seconds, rate = [*sys.argv[1:], *("20", "10")[len(sys.argv) - 2 :]]
    sockets = tempfile.mkdtemp(prefix="slipway-")
    hosts = [host for host in inventory.machines(path, "all", sockets) if "web" in inventory.groups(host)]
    try:
        visitors = [Visitor(Site.on(host), account(host)) for host in hosts]
        with Load(visitors, float(rate)):
            time.sleep(min(float(seconds), LONGEST_SECONDS))
        for visitor in visitors:
            print(visitor.site.address, json.dumps(summary(visitor.results)))
            for name in sorted({result.name for result in visitor.results}):
                print(f"  {name}", json.dumps(summary([r for r in visitor.results if r.name == name])))
    finally:
        for host in hosts:
            remove_accounts(host)
        inventory.hang_up(sockets)
        shutil.rmtree(sockets, ignore_errors=True)


if __name__ == "__main__":
    main()
