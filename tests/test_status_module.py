"""What a host says of itself, from what lies on it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release import model, systemd
from ansible_collections.slipway.host.plugins.module_utils.status import Queues
from ansible_collections.slipway.host.plugins.modules import status
from release_host import make_project


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"queues": {"default": 3}, "reachable": True}, {"queues": {"default": 3}, "reachable": True}),
        ({"queues": {}}, {"queues": {}, "reachable": False}),
        (None, None),
        ({"waiting": 3}, None),
        ([3], None),
    ],
)
def test_a_command_that_means_something_else_says_nothing_of_queues(said: Any, expected: Queues | None) -> None:
    assert status.lengths(said) == expected


def test_maintenance_is_on_while_its_flag_exists(tmp_path: Path) -> None:
    flag = tmp_path / "on"
    assert status.maintenance(str(flag)) == {"on": False, "since": None}
    flag.touch()
    assert status.maintenance(str(flag)) == {"on": True, "since": status.iso(flag.stat().st_mtime)}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("loaded active 0 3600", ("active", 0)),
        ("loaded active 9 70", ("active", 9)),
        ("loaded active 9 50", ("restarting", 9)),
        ("loaded activating 9 50", ("restarting", 9)),
        ("loaded failed 9 50", ("failed", 9)),
        ("not-found inactive 0 0", ("absent", 0)),
    ],
)
def test_a_process_that_ends_again_and_again_is_restarting(
    monkeypatch: pytest.MonkeyPatch, shown: str, expected: tuple[str, int]
) -> None:
    load, active, restarts, seconds = shown.split()
    monkeypatch.setattr(time, "monotonic", lambda: 7200.0)
    since = int((7200 - int(seconds)) * 1e6)
    text = f"LoadState={load}\nActiveState={active}\nNRestarts={restarts}\nActiveEnterTimestampMonotonic={since}\n"
    monkeypatch.setattr(systemd, "run", lambda *command: subprocess.CompletedProcess(command, 0, text, ""))
    found = status.state("shop-beat@blue.service")
    assert (found["state"], found["restarts"]) == expected


@pytest.mark.parametrize(("last", "expected"), [("inactive", "active"), ("activating", "active"), ("failed", "failed")])
def test_a_timer_whose_last_command_failed_has_failed(
    monkeypatch: pytest.MonkeyPatch, last: str, expected: str
) -> None:
    states = {"shop-certificate.service": last, "shop-certificate.timer": "active", "nginx": "active"}
    monkeypatch.setattr(status, "state", lambda unit: {"state": states[unit], "restarts": 0})
    assert status.service("shop-certificate.timer")["state"] == expected
    assert status.service("nginx")["state"] == "active"


def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], *processes: str) -> status.Host:
    (tmp_path / "shop.fact").write_text(json.dumps(facts))
    monkeypatch.setattr(model.Project, "facts", str(tmp_path / "shop.fact"))
    names = list(processes)
    return status.Host(make_project(tmp_path, processes=names, health_host="shop.example.com"))


@pytest.mark.parametrize(
    ("facts", "processes", "expected"),
    [
        ({"maintenance_flag": "/nowhere/on"}, ["web"], {"on": False, "since": None}),
        # Of a host that was provisioned before its fact named the flag.
        ({"https_port": 443}, ["web"], {"on": None, "since": None}),
        ({}, ["web"], {"on": None, "since": None}),
        ({}, ["worker"], None),
    ],
)
def test_the_fact_of_the_host_tells_where_maintenance_is_turned_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, Any],
    processes: list[str],
    expected: dict[str, Any] | None,
) -> None:
    monkeypatch.setattr(status, "state", lambda unit: {"state": "absent", "restarts": 0})
    assert host(tmp_path, monkeypatch, facts, *processes).status("", ["nginx"])["maintenance"] == expected


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        ({"https_port": 8443}, [("shop.example.com", 8443, False)]),
        ({"https_port": 443, "proxy_protocol": True}, [("shop.example.com", 443, True)]),
        ({}, []),
    ],
)
def test_the_certificate_is_looked_at_where_the_fact_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], asked: list[tuple[str, int, bool]]
) -> None:
    connections: list[tuple[str, int, bool]] = []
    monkeypatch.setattr(status, "certificate", lambda *where: connections.append(where))
    host(tmp_path, monkeypatch, facts, "web").certificate()
    assert connections == asked
