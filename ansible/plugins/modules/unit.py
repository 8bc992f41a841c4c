#!/usr/bin/python
"""Run a systemd unit with the configuration that is on disk now."""

import datetime
import glob
import os
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: unit
short_description: Run a systemd unit with the configuration that is on disk now
description:
  - Enables and starts a unit, and restarts or reloads it when one of its files is newer than its last start or
    reload, or when the last reload failed. Unlike a handler it needs no memory of which task changed what, so a play
    that was killed between writing a file and restarting its service is put right by the next run.
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


def systemctl(*arguments):
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)


def show(name):
    """Properties of a unit; times as seconds since the epoch, 0 where there is none."""
    wanted = ",".join(PROPERTIES + TIMES)
    answer = systemctl("show", name, "--timestamp=us+utc", f"--property={wanted}").stdout
    found = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    return {**found, **{name: seconds(found.get(name, "")) for name in TIMES}}


def seconds(stamp):
    """Read "Sun 2026-11-22 15:12:03.123456 UTC"."""
    try:
        _, day, time, _ = stamp.split()
    except ValueError:
        return 0.0
    shape = "%Y-%m-%d %H:%M:%S.%f" if "." in time else "%Y-%m-%d %H:%M:%S"
    moment = datetime.datetime.strptime(f"{day} {time}", shape)
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def newest(patterns):
    """Modification time of the newest file that matches, 0 where none does."""
    return max((os.stat(path).st_mtime for pattern in patterns for path in glob.glob(pattern)), default=0.0)


def journal(name, since):
    """The unit's last lines. Events of requests, in JSON, would push out why something failed."""
    command = ["journalctl", f"--unit={name}", f"--since=@{int(since)}", "--no-pager", "--output=cat"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line for line in said.splitlines() if not line.startswith("{")][-20:]


def needed(unit, state, restart_for, reload_for):
    """The systemctl verbs that bring `unit` to where it should be, in order."""
    verbs = changes(unit, state, restart_for, reload_for)
    # systemd does not notice the first drop-in of a unit that it has in memory.
    stale = unit["NeedDaemonReload"] == "yes" or {"start", "restart", "reload"} & set(verbs)
    return ["daemon-reload", *verbs] if stale else verbs


def changes(unit, state, restart_for, reload_for):
    """The verbs that change what the unit itself does."""
    verbs = []
    active = unit["ActiveState"] in ("active", "reloading", "activating")
    known = unit["UnitFileState"]
    if state == "stopped":
        return ["disable"] * (known == "enabled") + ["stop"] * active
    if state == "started":
        verbs += ["enable"] * (known == "disabled")
        if not active:
            return verbs + ["reset-failed"] * (unit["ActiveState"] == "failed") + ["start"]
    if not active:
        return verbs
    refused = reload_for and unit.get("ReloadResult", "success") != "success"
    if newest(restart_for) > unit["InactiveExitTimestamp"]:
        verbs.append("restart")
    elif refused or newest(reload_for) > unit["StateChangeTimestamp"]:
        verbs.append("reload")
    return verbs


def main():
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
            module.fail_json(msg=f"systemd knows no unit {name}: its package is not installed on this host.")
    verbs = needed(unit, module.params["state"], module.params["restart_for"], module.params["reload_for"])
    started = time.time()
    for verb in [] if module.check_mode else verbs:
        done = systemctl(verb) if verb == "daemon-reload" else systemctl(verb, name)
        if done.returncode:
            module.fail_json(
                msg=f"`systemctl {verb} {name}` failed: {done.stderr.strip()}", journal=journal(name, started)
            )
    module.exit_json(changed=bool(set(verbs) - {"daemon-reload", "reset-failed"}), verbs=verbs)


if __name__ == "__main__":
    main()
