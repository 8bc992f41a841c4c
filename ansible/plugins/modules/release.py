#!/usr/bin/python
"""Make one release of a Django project the running one, without losing a request."""

import contextlib
import datetime
import fcntl
import glob
import hashlib
import http.client
import json
import os
import socket
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: release
short_description: Make one release the running one, without losing a request
description:
  - Two slots, blue and green, each link to a release and to an environment file. C(current) links to the slot that
    serves. The idle slot is pointed at the new release, migrated, started and asked for its readiness through its
    own socket; then C(current) is replaced in one rename, the old slot's queue runs empty and its processes stop.
  - Whatever fails before the rename leaves the running slot untouched. A killed run is finished by the next.
options:
  name: {type: str, required: true, description: Beginning of the units' names.}
  root: {type: path, required: true, description: Folder with releases and slots.}
  release: {type: str, required: true, description: Name of a folder in releases.}
  environment: {type: path, required: true, description: The environment file to run it with.}
  processes: {type: list, elements: str, required: true, description: "Of web, worker and beat, those to run here."}
  health_host: {type: str, required: true, description: Host header of the readiness probe.}
  health_path: {type: str, required: true, description: Path of the readiness probe.}
  health_timeout_seconds: {type: int, required: true, description: How long the release may take to be ready.}
  drain_timeout_seconds: {type: int, required: true, description: How long the old slot's queue may take to empty.}
author: Slipway contributors
"""

SLOTS = ("blue", "green")
READY_ANSWERS = 3


class Refused(Exception):
    """Why the release does not become the running one, and the unit whose journal tells more."""

    def __init__(self, message, unit):
        super().__init__(message)
        self.unit = unit


def systemctl(*arguments):
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)


def is_active(unit):
    return systemctl("is-active", "--quiet", unit).returncode == 0


def is_gone(unit):
    """Whether the unit runs nothing, and is not about to try again either."""
    return systemctl("is-active", unit).stdout.strip() in ("inactive", "failed", "unknown")


def is_enabled(unit):
    return systemctl("is-enabled", "--quiet", unit).returncode == 0


def journal(unit):
    command = ["journalctl", f"--unit={unit}", "--lines=20", "--no-pager", "--output=cat"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def point(link, target):
    """Make `link` lead to `target` in one step."""
    draft = f"{link}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    os.symlink(target, draft)
    os.replace(draft, link)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Project:
    """The slots of one project on this host."""

    def __init__(self, parameters):
        self.__dict__.update(parameters)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def units(self, slot):
        """Units of a slot, in the order in which they start."""
        names = [f"{self.name}-{process}@{slot}.service" for process in self.processes]
        return [f"{self.name}-web@{slot}.socket"] * ("web" in self.processes) + names

    def generation(self):
        """What distinguishes two starts: the release, its environment and the units' own definitions."""
        digest = hashlib.sha256(f"{self.release}\n{self.environment}\n".encode())
        for path in sorted(glob.glob(f"/etc/systemd/system/{self.name}-*@.*")):
            with open(path, "rb") as unit:
                digest.update(unit.read())
        return digest.hexdigest()

    def serving(self):
        """The slot that `current` leads to, or None."""
        with contextlib.suppress(OSError):
            return os.path.basename(os.readlink(self.path("current")))
        return None

    def present(self, slot):
        """What the slot runs, for a person who compares."""
        with contextlib.suppress(OSError, TypeError):
            return f"release {os.path.basename(os.readlink(self.path('slots', slot, 'release')))}\n"
        return "no release\n"

    def serves(self, slot):
        with contextlib.suppress(OSError, TypeError), open(self.path("slots", slot, "generation")) as record:
            return record.read() == self.generation()
        return False

    def is_settled(self, slot):
        """Whether the slot runs all that it should, and the other one nothing."""
        other = SLOTS[slot == SLOTS[0]]
        return all(is_active(unit) and is_enabled(unit) for unit in self.units(slot)) and all(
            is_gone(unit) and not is_enabled(unit) for unit in self.units(other)
        )

    def prepare(self, slot):
        """Point the idle slot at the release, migrate, start it and wait until it is ready."""
        systemctl("daemon-reload")
        self.stop(self.units(slot))
        folder = self.path("slots", slot)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, "generation"))
        point(os.path.join(folder, "release"), self.path("releases", self.release))
        point(os.path.join(folder, "environment"), self.environment)
        point(os.path.join(folder, "web.sock"), f"/run/{self.name}/{slot}.sock")
        try:
            self.start(f"{self.name}-release@{slot}.service", "prepare the release (static files, checks, migrations)")
            if "web" in self.processes:
                self.start(f"{self.name}-web@{slot}.socket", "open its socket")
                self.start(f"{self.name}-web@{slot}.service", "start")
                self.await_readiness(slot)
        except Refused as refused:
            self.stop([*self.units(slot), refused.unit])
            raise
        with open(os.path.join(folder, "generation"), "w") as record:
            record.write(self.generation())

    def start(self, unit, purpose):
        systemctl("reset-failed", unit)
        done = systemctl("start", unit)
        if done.returncode:
            raise Refused(f"Release {self.release} could not {purpose}: {unit} failed.", unit)

    def await_readiness(self, slot):
        unit = f"{self.name}-web@{slot}.service"
        deadline = time.monotonic() + self.health_timeout_seconds
        good, last = 0, "no answer"
        while good < READY_ANSWERS:
            if time.monotonic() > deadline or not is_active(unit):
                message = f"Release {self.release} was not ready within {self.health_timeout_seconds} s"
                raise Refused(f"{message} at {self.health_path}: {last}.", unit)
            last = self.probe(slot)
            good = good + 1 if last == "200" else 0
            if not good:
                time.sleep(0.3)

    def probe(self, slot):
        """Ask for readiness as the proxy will ask; "200", or what came instead."""
        connection = UnixConnection(self.path("slots", slot, "web.sock"), timeout=5)
        try:
            headers = {"Host": self.health_host, "X-Forwarded-Proto": "https", "X-Request-ID": "readiness"}
            connection.request("GET", self.health_path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(300).decode(errors="replace")
            return "200" if answer.status == 200 else f"{answer.status} {body}"
        except (OSError, http.client.HTTPException) as problem:
            return str(problem) or type(problem).__name__
        finally:
            connection.close()

    def drain(self, slot):
        """Wait until nobody stands in the queue of a slot's socket: closing it would cut them off."""
        path = f"/run/{self.name}/{slot}.sock"
        deadline = time.monotonic() + self.drain_timeout_seconds
        empty = 0
        while empty < 4 and time.monotonic() < deadline:
            rows = subprocess.run(["ss", "-xlnH", "src", f"unix:{path}"], capture_output=True, text=True, check=False)
            queued = [row.split()[2] for row in rows.stdout.splitlines() if path in row]
            empty = empty + 1 if all(count == "0" for count in queued) else 0
            time.sleep(0.05)

    def stop(self, units):
        """Stop units, a socket before its service so that nothing starts it again, and forget their failures."""
        if units:
            systemctl("stop", *units)
            systemctl("reset-failed", *units)

    def settle(self, slot):
        """Let `slot` run everything, now and after a boot, and the other one nothing."""
        other = SLOTS[slot == SLOTS[0]]
        systemctl("enable", *self.units(slot))
        point(self.path("current"), f"slots/{slot}")
        systemctl("disable", *self.units(other))
        old = self.units(other)
        if any(is_active(unit) for unit in old if "-web@" in unit):
            self.drain(other)
        # Two schedulers would send each task twice; two workers leave no gap while the old one ends its tasks.
        self.stop([unit for unit in old if "-worker@" not in unit])
        for unit in self.units(slot):
            if not is_active(unit):
                self.start(unit, "start")
        self.stop(old)

    def record(self, slot):
        """Append what runs since when; the last line is the present."""
        line = {
            "release": self.release,
            "environment": os.path.basename(self.environment),
            "slot": slot,
            "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        }
        with open(self.path("history.jsonl"), "a") as history:
            history.write(json.dumps(line) + "\n")

    def activate(self):
        """Bring the host to where it should be, finishing what a killed run began."""
        slot = self.serving()
        if slot and self.serves(slot):
            self.settle(slot)
            return
        idle = SLOTS[slot == SLOTS[0]]
        self.prepare(idle)
        self.settle(idle)
        self.record(idle)


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "root": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "environment": {"type": "path", "required": True},
            "processes": {"type": "list", "elements": "str", "required": True},
            "health_host": {"type": "str", "required": True},
            "health_path": {"type": "str", "required": True},
            "health_timeout_seconds": {"type": "int", "required": True},
            "drain_timeout_seconds": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    project = Project(module.params)
    slot = project.serving()
    if slot and project.serves(slot) and project.is_settled(slot):
        module.exit_json(changed=False, slot=slot)
    diff = {"before": project.present(slot), "after": f"release {project.release}\n"}
    if module.check_mode:
        module.exit_json(changed=True, slot=slot, diff=diff)
    # Nobody else may hold it: a lock that others can open, they can keep.
    with os.fdopen(os.open(project.path("lock"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            module.fail_json(msg=f"Another release of {project.name} is being made on this host: wait for it.")
        try:
            project.activate()
        except Refused as refused:
            untouched = slot and project.serving() == slot
            rest = " The release that ran before still serves, untouched." if untouched else ""
            module.fail_json(msg=f"{refused}{rest}", journal=journal(refused.unit))
    module.exit_json(changed=True, slot=project.serving(), diff=diff)


if __name__ == "__main__":
    main()
