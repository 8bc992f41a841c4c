"""What `make status` prints, from what the hosts said."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any, cast

import pytest
from ansible_collections.slipway.host.plugins.module_utils.status import HostAnswer, HostStatus, Unfinished, Unit
from ansible_collections.slipway.host.plugins.plugin_utils.output import Level, Paint
from ansible_collections.slipway.host.plugins.plugin_utils.status.answers import host_status
from ansible_collections.slipway.host.plugins.plugin_utils.status.overview import StatusDocument, status_lines

NOW = "2026-11-22T12:00:00+00:00"
RUNS: Unit = {"state": "active", "restarts": 0}
HOST: HostStatus = {
    "name": "shop",
    "provisioned": True,
    "release": "aa042e72175b",
    "commit": "aa042e72175b17db9cba15a5840e5c3cd7ff6a9a",
    "ref": "v1.4.0",
    "kind": "deploy",
    "by": "anna@laptop",
    "since": "2026-11-22T10:58:00+00:00",
    "processes": {"web": RUNS, "worker": RUNS, "beat": RUNS},
    "services": {"nginx": RUNS},
    "health": {"ok": True, "answer": "200"},
    "migrations": {"pending": [], "problem": None},
    "queues": {"queues": {"default": 3, "dead_letters": 0}, "reachable": True},
    "certificate": {"begins": "2026-11-22T12:00:00+00:00", "expires": "2027-12-24T12:00:00+00:00"},
    "disk": {"path": "/srv/shop", "free_bytes": 40 * 2**30, "free_percent": 55},
    "maintenance": {"on": False, "since": None},
    "lock": None,
    "unfinished": None,
    "drift": None,
}
# Of a host with the database alone; every value is missing that may be.
DATA: HostStatus = {
    **HOST,
    "release": None,
    "commit": None,
    "ref": None,
    "kind": None,
    "by": None,
    "since": None,
    "health": None,
    "migrations": None,
    "queues": None,
    "certificate": None,
    "maintenance": None,
    "processes": {},
    "services": {"postgresql": RUNS},
}


def certificate(expires: str, days: int = 397) -> dict[str, str]:
    begins = datetime.datetime.fromisoformat(expires) - datetime.timedelta(days=days)
    return {"begins": begins.isoformat(), "expires": expires}


def plain(text: str, level: Level) -> str:
    return text


def changed(**changes: Any) -> HostStatus:
    return cast(HostStatus, {**HOST, **changes})


def shown(
    hosts: dict[str, HostStatus],
    width: int = 100,
    unreachable: Mapping[str, str] | None = None,
    failed: Mapping[str, str] | None = None,
    paint: Paint = plain,
    environment: str = "production",
) -> str:
    document: StatusDocument = {
        "environment": environment,
        "asked": NOW,
        "hosts": hosts,
        "unreachable": dict(unreachable or {}),
        "failed": dict(failed or {}),
    }
    return "\n".join(status_lines(document, width, paint))


def rows(**changes: Any) -> dict[str, str]:
    """The rows of a table with one host: what stands beside each label."""
    return dict(re.findall(r"^([a-z]+) {2,}(.+)$", shown({"web1": changed(**changes)}), re.MULTILINE))


def test_a_host_that_is_well_is_told_in_full() -> None:
    assert rows() == {
        "release": "aa042e72175b",
        "commit": "aa042e7 (v1.4.0)",
        "since": "2026-11-22 10:58, 62 min ago",
        "by": "anna@laptop",
        "health": "ok",
        "processes": "web, worker, beat active",
        "services": "nginx active",
        "migrations": "none pending",
        "queues": "default 3, dead_letters 0",
        "certificate": "397 days left",
        "disk": "40.0 GiB free, 55 %",
        "maintenance": "off",
    }


@pytest.mark.parametrize(
    ("row", "words", "changes"),
    [
        ("release", "! none serves yet", {"release": None}),
        ("commit", "aa042e7", {"ref": "aa042e72175b"}),
        ("commit", "shop.tar.gz", {"commit": None, "ref": "shop.tar.gz"}),
        ("since", "rolled back 2026-11-22 10:58, 62 min ago", {"kind": "rollback"}),
        ("since", "-", {"since": None}),
        ("health", "! 503: database failed", {"health": {"ok": False, "answer": '503 {"checks": '
         '{"database": "failed", "migrations": "ok"}}'}}),
        ("health", "! 502 <h1>no</h1>", {"health": {"ok": False, "answer": "502 <h1>no</h1>\n"}}),
        ("health", "! 503 [1]", {"health": {"ok": False, "answer": "503 [1]"}}),
        ("health", "ok (404)", {"health": {"ok": True, "answer": "404"}}),
        ("processes", "web active", {"processes": {"web": RUNS, "worker": {"state": "failed", "restarts": 0}}}),
        ("processes", "! beat active, 3 restarts", {"processes": {"beat": {"state": "active", "restarts": 3}}}),
        ("processes", "! web activating, 9 restarts", {"processes": {"web": {"state": "activating", "restarts": 9}}}),
        ("migrations", "! 1 pending: users.0002", {"migrations": {"pending": ["users.0002"], "problem": None}}),
        ("migrations", "! 5 pending: a, b, c and 2 more", {"migrations": {"pending": [*"abcde"], "problem": None}}),
        ("migrations", "! unknown: no route", {"migrations": {"pending": None, "problem": "no route"}}),
        ("queues", "-", {"queues": None}),
        ("queues", "! the broker does not answer", {"queues": {"queues": {}, "reachable": False}}),
        ("queues", "default 3", {"queues": {"queues": {"default": 3, "dead_letters": 2}, "reachable": True}}),
        ("certificate", "! 20 days left", {"certificate": certificate("2026-12-13T11:00:00+00:00")}),
        ("certificate", "21 days left", {"certificate": certificate("2026-12-13T12:00:00+00:00")}),
        ("certificate", "15 days left", {"certificate": certificate("2026-12-07T12:00:00+00:00", days=45)}),
        ("certificate", "! 11 days left", {"certificate": certificate("2026-12-03T12:00:00+00:00", days=45)}),
        ("certificate", "! expired", {"certificate": certificate("2026-11-22T11:00:00+00:00")}),
        ("certificate", "! nginx shows none", {"certificate": None}),
        ("disk", "! 5.0 GiB free, 9 %", {"disk": {"path": "/", "free_bytes": 5 * 2**30, "free_percent": 9}}),
        ("disk", "! 0.5 GiB free, 50 %", {"disk": {"path": "/", "free_bytes": 2**29, "free_percent": 50}}),
        ("maintenance", "! on, since 2 h", {"maintenance": {"on": True, "since": "2026-11-22T10:00:00+00:00"}}),
        ("certificate", "! unknown: run `make provision`",
         {"certificate": None, "maintenance": {"on": None, "since": None}}),
        ("maintenance", "! unknown: run `make provision`", {"maintenance": {"on": None, "since": None}}),
        ("lock", "! bob@ci, 90 s ago: deploy of bb, in the step build", {"lock": {"who": "bob@ci", "step": "build",
         "what": "deploy of bb", "since": "2026-11-22T11:58:30+00:00"}}),
        ("unfinished", "! deploy of bb by bob@ci, killed in the step migrate", {"unfinished": {"kind": "deploy",
         "release": "bb", "by": "bob@ci", "step": "migrate", "started": NOW}}),
        ("drift", "none", {"drift": []}),
        ("drift", "! /etc/nginx/nginx.conf", {"drift": [{"task": "nginx: Write", "what": "/etc/nginx/nginx.conf"}]}),
        ("drift", "! nginx: Run nginx: start", {"drift": [{"task": "nginx: Run nginx", "what": "start"}]}),
    ],
)  # fmt: skip
def test_a_row_says(row: str, words: str, changes: dict[str, Any]) -> None:
    assert rows(**changes)[row] == words


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("             ! worker failed", {"processes": {"web": RUNS, "worker": {"state": "failed", "restarts": 0}}}),
        ("             ! dead_letters 2", {"queues": {"queues": {"default": 3, "dead_letters": 2}, "reachable": True}}),
    ],
)
def test_what_needs_a_look_has_a_line_of_its_own(line: str, changes: dict[str, Any]) -> None:
    assert line in shown({"web1": changed(**changes)}).splitlines()


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_no_line_is_wider_than_the_screen(width: int, count: int) -> None:
    host = changed(health={"ok": False, "answer": "connection refused " * 9})
    text = shown({f"web{number}": host for number in range(count)}, width, {"web9": "a long story " * 20})
    assert max(map(len, text.splitlines())) <= width
    assert set(re.findall(r"web\d", text)) == {f"web{n}" for n in range(count)} | {"web9"}


def test_hosts_stand_side_by_side_in_columns_that_align() -> None:
    text = shown({"web1": HOST, "data": DATA})
    columns = {line.index(word) for line in text.splitlines() for word in ("data", "postgresql active") if word in line}
    assert len(columns) == 1
    assert re.search(r"^services +nginx active +postgresql active$", text, re.MULTILINE)
    assert re.search(r"^release +aa042e72175b +-$", text, re.MULTILINE)


def test_colours_do_not_move_a_column() -> None:
    def bold(text: str, level: Level) -> str:
        return f"\x1b[1m{text}\x1b[0m"

    hosts = {"web1": changed(health={"ok": False, "answer": "503"}), "web2": HOST}
    painted = shown(hosts, paint=bold)
    assert "\x1b[1mok\x1b[0m" in painted
    assert re.sub(r"\x1b\[\dm", "", painted) == shown(hosts)


def test_hosts_with_different_releases_are_named() -> None:
    sentence = "! The hosts run different releases: web1 and web2 run aa042e72175b; web3 runs bb."
    assert sentence in shown({"web1": HOST, "web2": HOST, "web3": changed(release="bb"), "data": DATA})
    assert "different" not in shown({"web1": HOST, "web2": HOST, "data": DATA})


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("! web2 cannot be reached: ssh: Connection refused.", {"unreachable": {"web2": "ssh: Connection refused"}}),
        ("! web2 could not be asked: no python.", {"failed": {"web2": "no python"}}),
        ("! web2 was never provisioned: run `make provision ENV=production` first.",
         {"hosts": {"web1": HOST, "web2": {**DATA, "provisioned": False}}}),
        ("drift: not asked (make status DRIFT=yes)", {}),
    ],
)  # fmt: skip
def test_a_sentence_below_the_table_says(sentence: str, said: dict[str, Any]) -> None:
    text = shown(**{"hosts": {"web1": HOST}, **said})
    assert sentence in text.splitlines()
    assert "aa042e72175b" in text
    assert sentence.split()[1] not in text.splitlines()[3]


def test_nothing_is_shown_twice_when_no_host_answers() -> None:
    assert shown({}, unreachable={"web1": "timed out"}).split("\n") == ["", "! web1 cannot be reached: timed out.", ""]


# --- a run that goes on, and one that was killed

LOCK = {"token": "t0ken", "who": "bob@ci", "what": "deploy of bb", "since": NOW}
UNFINISHED: Unfinished = {"kind": "deploy", "release": "bb", "step": "build", "by": "bob@ci", "started": NOW}


@pytest.mark.parametrize(
    ("lock", "dead", "step", "unfinished"),
    [(LOCK, False, "build", None), (LOCK, True, None, UNFINISHED), (None, False, None, UNFINISHED)],
)
def test_an_attempt_is_unfinished_when_nobody_ends_it(
    lock: dict[str, str] | None, dead: bool, step: str | None, unfinished: Unfinished | None
) -> None:
    answer = cast(HostAnswer, {**HOST, "lock": lock, "unfinished": UNFINISHED})
    status = host_status(answer, None, is_dead=lambda token: dead)
    assert (status["lock"] and status["lock"]["step"]) == step
    assert status["unfinished"] == unfinished
    assert "t0ken" not in json.dumps(status)
