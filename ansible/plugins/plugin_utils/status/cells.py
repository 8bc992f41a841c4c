"""The cells of one host's column: for each row, lines of text, and whether they need a look."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ansible_collections.slipway.host.plugins.module_utils.status import Difference, HostStatus, Unit
from ansible_collections.slipway.host.plugins.plugin_utils.output import Level
from ansible_collections.slipway.host.plugins.plugin_utils.status.times import ago, duration, moment, stamp

# Of a shorter one a quarter, since an ACME server renews it when a third is left.
CERTIFICATE_LEFT = datetime.timedelta(days=21)
DISK_PERCENT = 10
DISK_BYTES = 2**30
# Queues that nobody works from: what lies there waits for a person.
STUCK_QUEUES = ("unknown", "dead_letters")
# Of a host that was provisioned before its fact had all that is asked for.
UNKNOWN = "unknown: run `make provision`"

# Nothing where there is nothing to say.
Cell = list[tuple[str, Level]]


def short_commit(host: HostStatus) -> str:
    """A commit, short, with the words it was asked for; a tarball has only those."""
    commit, ref = (host["commit"] or "")[:7], host["ref"]
    if ref and commit and not ref.startswith(commit):
        return f"{commit} ({ref})"
    return commit or ref or "-"


def bad_answer(answer: str) -> str:
    """A bad answer in few words; of our own health page the checks that failed."""
    status, _, body = answer.partition(" ")
    try:
        failed = [f"{name} {text}" for name, text in json.loads(body)["checks"].items() if text != "ok"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return " ".join(answer.split())[:100]
    return f"{status}: {', '.join(failed)}" if failed else status


def units(states: Mapping[str, Unit]) -> Cell:
    """What runs on one line, then each unit that does not, or had to be started again."""
    fine = [name for name, unit in states.items() if unit["state"] == "active" and not unit["restarts"]]
    lines: Cell = [(f"{', '.join(fine)} active", "good")] if fine else []
    for name, unit in states.items():
        if name not in fine:
            restarts = f", {unit['restarts']} restarts" if unit["restarts"] else ""
            lines.append((f"{name} {unit['state']}{restarts}", "bad"))
    return lines


def release(host: HostStatus, now: datetime.datetime) -> Cell:
    if host["release"]:
        return [(host["release"], "plain")]
    return [("none serves yet", "bad")] if host["processes"] else []


def commit(host: HostStatus, now: datetime.datetime) -> Cell:
    return [(short_commit(host), "plain")] if host["release"] else []


def since(host: HostStatus, now: datetime.datetime) -> Cell:
    if not host["since"]:
        return []
    how = {"rollback": "rolled back ", "return": "went back "}.get(host["kind"] or "", "")
    return [(f"{how}{stamp(host['since'])}, {ago(host['since'], now)}", "plain")]


def by(host: HostStatus, now: datetime.datetime) -> Cell:
    return [(host["by"], "plain")] if host["by"] else []


def health(host: HostStatus, now: datetime.datetime) -> Cell:
    if not host["health"]:
        return []
    answer = host["health"]["answer"]
    if not host["health"]["ok"]:
        return [(bad_answer(answer), "bad")]
    # A project without a health path is asked for its first page, which may say anything but an error.
    return [("ok" if answer == "200" else f"ok ({answer})", "good")]


def processes(host: HostStatus, now: datetime.datetime) -> Cell:
    return units(host["processes"])


def services(host: HostStatus, now: datetime.datetime) -> Cell:
    return units(host["services"])


def migrations(host: HostStatus, now: datetime.datetime) -> Cell:
    found = host["migrations"]
    if not found:
        return []
    pending = found["pending"]
    if pending is None:
        return [(f"unknown: {found['problem']}", "bad")]
    if not pending:
        return [("none pending", "good")]
    more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
    return [(f"{len(pending)} pending: {', '.join(pending[:3])}{more}", "bad")]


def queues(host: HostStatus, now: datetime.datetime) -> Cell:
    found = host["queues"]
    if not found:
        return []
    if not found.get("reachable"):
        return [("the broker does not answer", "bad")]
    return [
        (f"{name} {count}", "bad" if count and name in STUCK_QUEUES else "plain")
        for name, count in found["queues"].items()
    ]


def certificate(host: HostStatus, now: datetime.datetime) -> Cell:
    if not host["certificate"]:
        if host["maintenance"] and host["maintenance"]["on"] is None:
            return [(UNKNOWN, "bad")]
        return [("nginx shows none", "bad")] if host["health"] else []
    begin, end = (moment(host["certificate"][key]) for key in ("begins", "expires"))
    good = end - now >= min(CERTIFICATE_LEFT, (end - begin) / 4)
    days = (end - now).days
    return [(f"{days} days left" if days >= 0 else "expired", "good" if good else "bad")]


def disk(host: HostStatus, now: datetime.datetime) -> Cell:
    free, percent = host["disk"]["free_bytes"], host["disk"]["free_percent"]
    full = percent < DISK_PERCENT or free < DISK_BYTES
    return [(f"{free / 2**30:.1f} GiB free, {percent} %", "bad" if full else "plain")]


def maintenance(host: HostStatus, now: datetime.datetime) -> Cell:
    found = host["maintenance"]
    if not found:
        return []
    if found["on"] is None:
        return [(UNKNOWN, "bad")]
    if not found["on"]:
        return [("off", "plain")]
    return [(f"on, since {duration(found['since'], now)}" if found["since"] else "on", "bad")]


def lock(host: HostStatus, now: datetime.datetime) -> Cell:
    held = host["lock"]
    if not held:
        return []
    step = f", in the step {held['step']}" if held["step"] else ""
    return [(f"{held['who']}, {ago(held['since'], now)}: {held['what']}{step}", "bad")]


def unfinished(host: HostStatus, now: datetime.datetime) -> Cell:
    attempt = host["unfinished"]
    if not attempt:
        return []
    begun = f"{attempt['kind']} of {attempt['release']} by {attempt['by']}"
    return [(f"{begun}, killed in the step {attempt['step']}", "bad")]


def difference(found: Difference) -> str:
    """A path speaks for itself."""
    task, what = found["task"], found["what"]
    if not what:
        return task
    return what if what.startswith("/") else f"{task}: {what}"


def drift(host: HostStatus, now: datetime.datetime) -> Cell:
    if host["drift"] is None:
        return []
    return [(difference(each), "bad") for each in host["drift"]] or [("none", "good")]


class Row(NamedTuple):
    label: str
    cell: Callable[[HostStatus, datetime.datetime], Cell]
    # Left out where nobody has anything to say, though the application runs there.
    optional: bool = False


ROWS = (
    Row("release", release),
    Row("commit", commit),
    Row("since", since),
    Row("by", by),
    Row("health", health),
    Row("processes", processes),
    Row("services", services, optional=True),
    Row("migrations", migrations),
    Row("queues", queues),
    Row("certificate", certificate),
    Row("disk", disk),
    Row("maintenance", maintenance, optional=True),
    Row("lock", lock, optional=True),
    Row("unfinished", unfinished, optional=True),
    Row("drift", drift, optional=True),
)
