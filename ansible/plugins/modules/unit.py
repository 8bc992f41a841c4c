#!/usr/bin/python
"""Run a systemd unit with the configuration that is on disk now."""

from __future__ import annotations

import datetime
import glob
import os
import subprocess
import time
from collections.abc import Iterable, Iterator

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: unit
short_description: Run a systemd unit with the configuration that is on disk now
description:
  - Enables and starts a unit, and restarts or reloads it when one of its files was written, replaced or removed after
    its last start or reload, or when the last reload failed. Unlike a handler it needs no memory of which task changed
    what, so a play that was killed between writing a file and restarting its service is put right by the next run.
options:
  name: {type: str, required: true, description: Name of the unit.}
  state:
    type: str
    default: started
    choices: [started, stopped, unchanged]
    description: Whether the unit runs, now and after a boot. With C(unchanged) it is only told of new files.
  restart_for: {type: list, elements: str, default: [], description: Paths or globs that only a restart picks up.}
  reload_for: {type: list, elements: str, default: [], description: Paths or globs that a reload picks up.}
author: Slipway contributors
"""

PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload", "ReloadResult")
TIMES = ("InactiveExitTimestamp", "StateChangeTimestamp")
Properties = dict[str, str]


def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)


def show(name: str) -> Properties:
    """Properties of a unit, with an empty text where systemd tells none."""
    wanted = PROPERTIES + TIMES
    answer = systemctl("show", name, "--timestamp=us+utc", f"--property={','.join(wanted)}").stdout
    lines = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    return {key: lines.get(key, "") for key in wanted}


def seconds(stamp: str) -> float:
    """Read "Sun 2026-11-22 15:12:03.123456 UTC" as seconds since the epoch; 0 where there is no time."""
    try:
        _, day, clock, _ = stamp.split()
    except ValueError:
        return 0.0
    shape = "%Y-%m-%d %H:%M:%S.%f" if "." in clock else "%Y-%m-%d %H:%M:%S"
    moment = datetime.datetime.strptime(f"{day} {clock}", shape)
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def watched(pattern: str) -> Iterator[str]:
    """The files that match, and for a glob their folders: a file that is gone has changed its folder."""
    yield from glob.glob(pattern)
    if glob.has_magic(pattern):
        yield from glob.glob(os.path.dirname(pattern))


def last_change(patterns: Iterable[str]) -> float:
    """When anything that matches changed last, 0 where nothing does.

    The inode's own time, since a restored file may carry an old modification time.
    """
    paths = [path for pattern in patterns for path in watched(pattern)]
    return max((os.stat(path).st_ctime for path in paths), default=0.0)


def journal(name: str, since: float) -> list[str]:
    """The unit's last lines. Events of requests, in JSON, would push out why something failed."""
    # What it wrote just now may be on its way.
    subprocess.run(["journalctl", "--sync"], capture_output=True, check=False)
    command = ["journalctl", f"--unit={name}", f"--since=@{int(since)}", "--no-pager", "--output=cat"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line for line in said.splitlines() if not line.startswith("{")][-20:]


def needed(unit: Properties, state: str, restart_for: Iterable[str], reload_for: Iterable[str]) -> list[str]:
    """The systemctl verbs that bring `unit` to where it should be, in order."""
    active = unit["ActiveState"] in ("active", "reloading", "activating")
    if state == "stopped":
        verbs = stopping(unit, active)
    else:
        verbs = starting(unit, active) if state == "started" else []
        if active:
            verbs += refreshing(unit, list(restart_for), list(reload_for))
    # systemd does not notice the first drop-in of a unit that it has in memory.
    stale = unit["NeedDaemonReload"] == "yes" or {"start", "restart", "reload"} & set(verbs)
    return ["daemon-reload", *verbs] if stale else verbs


def stopping(unit: Properties, active: bool) -> list[str]:
    verbs = []
    if unit["UnitFileState"] == "enabled":
        verbs.append("disable")
    if active:
        verbs.append("stop")
    elif unit["ActiveState"] == "failed":
        verbs.append("reset-failed")
    return verbs


def starting(unit: Properties, active: bool) -> list[str]:
    verbs = []
    if unit["UnitFileState"] == "disabled":
        verbs.append("enable")
    if unit["ActiveState"] == "failed":
        verbs.append("reset-failed")
    if not active:
        verbs.append("start")
    return verbs


def refreshing(unit: Properties, restart_for: list[str], reload_for: list[str]) -> list[str]:
    """The verb with which a running unit takes what is on disk now."""
    refused = reload_for and unit["ReloadResult"] not in ("success", "")
    if last_change(restart_for) > seconds(unit["InactiveExitTimestamp"]):
        return ["restart"]
    if refused or last_change(reload_for) > seconds(unit["StateChangeTimestamp"]):
        return ["reload"]
    return []


def carry_out(module: AnsibleModule, name: str, verbs: list[str]) -> None:
    started = time.time()
    for verb in verbs:
        done = systemctl(verb) if verb == "daemon-reload" else systemctl(verb, name)
        if done.returncode:
            module.fail_json(
                msg=f"`systemctl {verb} {name}` failed: {done.stderr.strip()}", journal=journal(name, started)
            )
    if "stop" in verbs:
        # How it ended is no failure of the host; one that ended well may be forgotten by now.
        systemctl("reset-failed", name)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "default": "started", "choices": ["started", "stopped", "unchanged"]},
            "restart_for": {"type": "list", "elements": "str", "default": []},
            "reload_for": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    unit = show(name)
    if unit["LoadState"] == "not-found":
        if module.check_mode:
            module.exit_json(changed=True, verbs=["start"])
        systemctl("daemon-reload")
        unit = show(name)
        if unit["LoadState"] == "not-found":
            module.fail_json(
                msg=f"systemd knows no unit {name}: its package is not installed. Run `make provision` without TAGS."
            )
    verbs = needed(unit, module.params["state"], module.params["restart_for"], module.params["reload_for"])
    if not module.check_mode:
        carry_out(module, name, verbs)
    module.exit_json(changed=bool(set(verbs) - {"daemon-reload", "reset-failed"}), verbs=verbs)


if __name__ == "__main__":
    main()
