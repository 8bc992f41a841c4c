"""What the tests share: an HTTP client for a host, questions to it, and patience."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import inventory
import pytest
from testinfra.host import Host

Found = TypeVar("Found")

# Where pytest keeps the hosts under test, and the folder of the connections to them.
MACHINES = pytest.StashKey[list[Host]]()
SOCKETS = pytest.StashKey[str]()

ROOT = Path(__file__).parents[2]
HSTS = "max-age=31536000"
FOR_GOOD = "public, max-age=31536000, immutable"
SOAK = "SLIPWAY_SOAK" in os.environ
# What fails while a service is away: the network, HTTP, or SSH itself.
AWAY = (OSError, http.client.HTTPException, RuntimeError)


def soak(value: object) -> Any:
    """A parameter of a test that `make soak` alone runs."""
    return pytest.param(value, marks=pytest.mark.soak)


def eventually(question: Callable[[], Found | Literal[False] | None], *, seconds: float, pause: float = 0.3) -> Found:
    """Ask until the answer is true, and return it; fail when it is not after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = question()
            if found:
                return found
            last = repr(found)
        except AWAY as problem:
            last = repr(type(problem).__name__)
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {last}"
        time.sleep(pause)


class Secret(str):
    """Text that a failing test does not print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[hidden]"


@dataclass(frozen=True)
class Administrator:
    email: str
    password: Secret


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return str(self.headers["X-Request-ID"])

    @property
    def session_cookie(self) -> Secret:
        """The name and value to send back."""
        return Secret(self.headers["Set-Cookie"].split(";")[0])


@dataclass(frozen=True)
class Site:
    """The site on one host, reached at the host's address whatever DNS says of the domain."""

    address: str
    domain: str
    http_port: int
    https_port: int
    authority: Path = field(repr=False)

    @classmethod
    def on(cls, host: Host) -> Site:
        variables = inventory.variables(host)
        return cls(
            address=variables["ansible_host"],
            domain=variables["project_domain"],
            http_port=int(variables.get("project_http_port", 80)),
            https_port=int(variables.get("project_https_port", 443)),
            authority=Path(variables["inventory_dir"], ".secrets", "ca.crt"),
        )

    def context(self) -> ssl.SSLContext:
        """Trust the authorities of this machine, and the inventory's own where it has one."""
        context = ssl.create_default_context()
        if self.authority.exists():
            context.load_verify_locations(self.authority)
        return context

    def host_header(self, port: int, default: int) -> str:
        return self.domain if port == default else f"{self.domain}:{port}"

    @property
    def origin(self) -> str:
        return f"https://{self.host_header(self.https_port, 443)}"

    def beside(self, domain: str) -> Site:
        """The same host under another of its names, as a front end's."""
        return replace(self, domain=domain)

    def handshake(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection that has just agreed on TLS."""
        link = socket.create_connection((self.address, self.https_port), timeout=15)
        return (context or self.context()).wrap_socket(link, server_hostname=self.domain)

    def open(self, *, scheme: str = "https", context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
        """A connection that is ready for requests."""
        connection = http.client.HTTPConnection(self.domain, self.https_port if scheme == "https" else self.http_port)
        if scheme == "https":
            connection.sock = self.handshake(context)
        else:
            connection.sock = socket.create_connection((self.address, self.http_port), timeout=15)
        return connection

    def ask(
        self,
        method: str,
        path: str,
        *,
        scheme: str = "https",
        host: str | None = None,
        cookie: str | None = None,
        data: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Answer:
        own = self.host_header(*((self.https_port, 443) if scheme == "https" else (self.http_port, 80)))
        sent = {"Host": host or own, "User-Agent": "testinfra", **(headers or {})}
        if cookie:
            sent["Cookie"] = cookie
        body = None
        if data is not None:
            sent["Content-Type"] = "application/json"
            body = json.dumps(data)
        elif form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        used = connection or self.open(scheme=scheme)
        try:
            used.request(method, path, body=body, headers=sent)
            answer = used.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            if connection is None:
                used.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def login(self, person: Administrator) -> Answer:
        return self.ask("POST", "/api/auth/login/", data={"email": person.email, "password": person.password})


# --- what the operator does --------------------------------------------------------------------------------------


def play(
    host: Host, playbook: str, *options: str, inventory_dir: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the repository for this host alone."""
    folder = inventory_dir or inventory.variables(host)["inventory_dir"]
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder)]
    command += ["--limit", host.backend.host, f"ansible/{playbook}", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


# --- questions to a host -----------------------------------------------------------------------------------------


def events(host: Host, request_id: str) -> list[dict[str, Any]]:
    """The journal's JSON events about one request, each with the `unit` that wrote it."""
    assert re.fullmatch(r"[\w-]+", request_id)
    lines = host.run(f"journalctl --since=-5min --output=json --grep={request_id}").stdout.splitlines()
    entries = [entry for entry in map(json.loads, lines) if str(entry["MESSAGE"]).startswith("{")]
    return [{**json.loads(entry["MESSAGE"]), "unit": entry["_SYSTEMD_UNIT"]} for entry in entries]


def slot(host: Host) -> str:
    """The slot that serves: blue or green."""
    return str(host.check_output("basename $(readlink /srv/slipway/current)"))


def processes(host: Host) -> list[str]:
    """The application's processes that belong on this host."""
    return [name for name in ("web", "worker", "beat") if name in inventory.groups(host)]


def exposure(host: Host, unit: str) -> float:
    """What systemd thinks of a unit, the lower the better: one without a sandbox has 9.6."""
    output = host.check_output("systemd-analyze security --no-pager %s", unit)
    return float(re.findall(r"exposure level for \S+: ([\d.]+)", output)[0])


def main_pid(host: Host, unit: str) -> int:
    """The unit's main process; 0 where there is none."""
    return int(host.check_output("systemctl show --property=MainPID --value %s", unit))


# Runs on the host: the password never leaves it, and is never an argument.
QUERY = """
import json, shlex, sys, psycopg2
lines = open("/srv/slipway/current/environment").read().splitlines()
values = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
url = shlex.split(values["DATABASE_URL"])[0]
sql, options = sys.argv[1], json.loads(sys.argv[2])
try:
    connection = psycopg2.connect(url, connect_timeout=5, **options)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(sql)
    rows = cursor.fetchall() if cursor.description else []
    print(json.dumps({"rows": rows, "error": None}, default=str))
except psycopg2.Error as error:
    print(json.dumps({"rows": None, "error": error.pgcode or str(error)}))
"""


def query(host: Host, sql: str, /, **options: Any) -> Any:
    """What PostgreSQL answers the application's role on this web host: `rows` or `error` (SQLSTATE or refusal)."""
    arguments = (QUERY, sql, json.dumps(options))
    answer: dict[str, Any] = json.loads(
        host.check_output("/srv/slipway/current/release/.venv/bin/python -c %s %s %s", *arguments)
    )
    return answer


def executed(host: Host, request_id: str) -> bool:
    """Whether the worker carried out the task that this login sent."""
    assert re.fullmatch(r"[\w-]+", request_id)
    sql = f"SELECT count(*) FROM users_loginrecord WHERE request_id = '{request_id}'"  # noqa: S608 - checked above
    return bool(query(host, sql)["rows"] == [[1]])
