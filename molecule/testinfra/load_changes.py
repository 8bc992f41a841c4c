"""Changes of release, made to all web hosts while they get load, and what can be read of them afterwards."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import inventory
import pytest
from load import Result, summary
from releases import NEW_COLUMN, UNREADY, Commits
from support import MACHINES, SOAK
from testinfra.host import Host

ROOT = Path(__file__).parents[2]
REPORT = ROOT / ".cache" / "load.json"
TASKS_GROUP = 50
TASKS_PAUSE_SECONDS = 0.15
GRACE_SECONDS = 3
PERIODIC = "sessions-clear-expired"

CRASH = """
import os, threading, time


def crash():
    mine = os.getcwd()
    while os.path.realpath("/srv/slipway/current/release") != mine:
        time.sleep(0.1)
    time.sleep(5)
    os._exit(1)


threading.Thread(target=crash, daemon=True).start()
"""
COMMITS: Commits = {
    "one": (None, {"config/urls.py": "# one\n"}),
    "wide": ("one", NEW_COLUMN),
    "two": ("wide", {"config/urls.py": "# two\n"}),
    "unready": ("two", UNREADY),
    "crashing": ("two", {"config/wsgi.py": CRASH}),
}

# What is done during the load, in this order: a commit to deploy, or a rollback. Each that switches once, or all night.
CHANGES = ["one", "rollback", "two", "crashing", "rollback to head"]
if SOAK:
    CHANGES = [
        *("one", "head", "one", "rollback", "one", "head", "one", "unready"),
        *("wide", "two", "rollback", "two", "wide", "two", "crashing"),
        *("wide", "rollback", "wide", "two", "rollback to head"),
    ]
TASKS = TASKS_GROUP * len(CHANGES)
REFUSED = {"unready", "crashing"}

# Runs on a host: a group of tasks each time that the traffic moves, while the old worker ends and the new one begins;
# the rest when standard input ends.
SEND = """
import os, select, sys, time
from uuid import uuid4
from django.utils import timezone
from styleguide_example.authentication.tasks import login_record
from styleguide_example.users.models import User

user = User.objects.get(email="{email}")
current, number = None, 0
while number < {count}:
    over = select.select([sys.stdin], [], [], 0.1)[0]
    if os.readlink("/srv/slipway/current") == current and not over:
        continue
    current = os.readlink("/srv/slipway/current")
    for number in range(number, {count} if over else min(number + {group}, {count})):
        name = "{prefix}%04d" % number
        arguments = {{"record_id": str(uuid4()), "user_id": user.id, "request_id": name}}
        arguments["occurred_at"] = timezone.now().isoformat()
        while True:
            # What the broker did not confirm in time is sent again, as the same task.
            try:
                login_record.apply_async(task_id=name, kwargs=arguments)
                break
            except Exception as problem:
                print(type(problem).__name__, file=sys.stderr, flush=True)
                time.sleep(1)
        print(name, flush=True)
        time.sleep(0 if over else {pause})
    number += 1
"""


# A host's address, and when two slots began and ended to run side by side.
Window: TypeAlias = tuple[str, float, float]


@dataclass(frozen=True)
class Change:
    name: str
    began: float
    ended: float
    code: int
    output: str


@dataclass(frozen=True, repr=False)
class Run:
    """What the load, the changes and the hosts' journals say about one run."""

    results: list[Result]
    changes: list[Change]
    sent: list[str]
    executed: list[str]
    ticks: list[float]
    effects: list[list[int]]
    interval: float
    concurrency: int
    began: float
    ended: float


def web_hosts(config: pytest.Config) -> list[Host]:
    return [host for host in config.stash[MACHINES] if "web" in inventory.groups(host)]


def play(name: str, host: Host, commits: tuple[Path, dict[str, str]], grace_seconds: int = GRACE_SECONDS) -> Change:
    """Make one change to all hosts, as an operator would."""
    folder, references = commits
    values = {
        "application_source_path": str(folder),
        "release_grace_seconds": grace_seconds,
        "release_watch_seconds": 1,
    }
    if name == "rollback to head":
        values["release_target"] = references["head"]
        values["release_reverse_migrations_enabled"] = True
    elif name != "rollback":
        values["application_source_ref"] = references[name]
    if name == "unready":
        values["application_health_timeout_seconds"] = 8
    if name == "crashing":
        values["release_grace_seconds"] = 10
    playbook = "ansible/rollback.yml" if name.startswith("rollback") else "ansible/deploy.yml"
    # Who deploys sits at another machine, and takes nothing of the processors that serve.
    program = ["nice", "-n", "19", Path(sys.executable).with_name("ansible-playbook")]
    command = [*program, "-i", inventory.variables(host)["inventory_dir"]]
    began = time.time()
    done = subprocess.run(
        [*command, playbook, "-e", json.dumps(values)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return Change(name, began, time.time(), done.returncode, done.stdout + done.stderr)


# --- tasks and ticks


@contextlib.contextmanager
def sending(host: Host, email: str, prefix: str) -> Iterator[list[str]]:
    """Queue numbered tasks from a host meanwhile; the list gets the names that the broker confirmed."""
    code = SEND.format(email=email, prefix=prefix, count=TASKS, group=TASKS_GROUP, pause=TASKS_PAUSE_SECONDS)
    user = inventory.variables(host)["ansible_user"]
    command = [*inventory.ssh(host), "-l", user, f"sudo slipway-manage shell -c {shlex.quote(code)}"]
    sent: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        yield sent
        output, _ = sender.communicate()
    sent += [line for line in output.splitlines() if line.startswith(prefix)]


def journal(hosts: list[Host], unit: str, since: float) -> list[dict[str, Any]]:
    """The JSON events that the units of this pattern wrote on all hosts, each with its `at`."""
    command = f"journalctl --output=json --unit='{unit}' --since=@{int(since)}"
    entries = [json.loads(line) for host in hosts for line in host.check_output(command).splitlines()]
    messages = [(entry, str(entry.get("MESSAGE", ""))) for entry in entries]
    return [
        {**json.loads(text), "at": int(entry["__REALTIME_TIMESTAMP"]) / 1e6}
        for entry, text in messages
        if text.startswith("{")
    ]


def switches(hosts: list[Host], since: float) -> list[Window]:
    """When two slots ran side by side: from the opening of the new one's socket to the end of the old one."""
    found: list[Window] = []
    for host in hosts:
        command = f"journalctl --output=json --unit='slipway-web@*' --since=@{int(since)} _PID=1"
        opened = None
        for entry in map(json.loads, host.check_output(command).splitlines()):
            at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            what = (entry.get("JOB_TYPE"), entry.get("JOB_RESULT"), entry.get("UNIT", "").rpartition(".")[2])
            if what == ("start", "done", "socket"):
                opened = at
            elif what == ("stop", "done", "service") and opened:
                found.append((inventory.variables(host)["ansible_host"], opened, at))
                opened = None
    return found


def report(run: Run, windows: list[Window], steady_until: float) -> None:
    """Latencies are no promise on a machine that runs everything: they are printed and kept, not asserted."""

    def during(window: Window) -> list[Result]:
        site, opened, closed = window
        return [r for r in run.results if r.site == site and r.due < closed and r.due + r.seconds > opened]

    steady = [result for result in run.results if result.due < steady_until]
    changing = [result for result in run.results if result.due >= steady_until]
    gaps = [later - earlier for earlier, later in zip(run.ticks, run.ticks[1:], strict=False)]
    content = {
        "steady": summary(steady),
        "changing": summary(changing),
        "switching": summary({result for window in windows for result in during(window)}),
        "p99_ms_of_each_switch": [summary(during(window))["p99_ms"] for window in windows],
        "failures_of_a_crashing_release": len([r for r in run.results if r.failure and is_of_crash(run, r)]),
        "changes": [[each.name, each.code, round(each.ended - each.began, 1)] for each in run.changes],
        "tasks": {
            "sent": len(run.sent),
            "lost": len(set(run.sent) - set(run.executed)),
            "executed_again": len(run.executed) - len(set(run.executed)),
        },
        "ticks": {
            "count": len(run.ticks),
            "interval": run.interval,
            "shortest_gap": round(min(gaps, default=0), 2),
            "longest_gap": round(max(gaps, default=0), 2),
        },
        "seconds": round(run.ended - run.began),
    }
    REPORT.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


def is_of_crash(run: Run, result: Result) -> bool:
    """Whether a request met the release that was made to crash, which may lose what it held."""
    return any(
        change.name == "crashing" and result.due < change.ended and result.due + result.seconds > change.began
        for change in run.changes
    )
