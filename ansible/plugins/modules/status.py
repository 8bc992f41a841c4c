#!/usr/bin/python
"""Say what runs on a host and how it is; changes nothing and takes no lock."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
from typing import Any, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds
from ansible_collections.slipway.host.plugins.module_utils.release.django import transient
from ansible_collections.slipway.host.plugins.module_utils.release.files import read_json
from ansible_collections.slipway.host.plugins.module_utils.release.history import History
from ansible_collections.slipway.host.plugins.module_utils.release.lease import Attempt, Lease
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project, project_spec
from ansible_collections.slipway.host.plugins.module_utils.release.probe import Probe
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots
from ansible_collections.slipway.host.plugins.module_utils.status import (
    Activation,
    Certificate,
    Disk,
    Health,
    HostAnswer,
    LockHolder,
    Maintenance,
    Migrations,
    Queues,
    Unfinished,
    Unit,
)

DOCUMENTATION = r"""
module: status
short_description: Say what runs on a host and how it is
description:
  - Collects in one go what a person asks first, and returns it as C(status). It changes nothing, takes no lock and
    starts nothing that was stopped.
  - The database and the broker are asked by the release that serves, in one start of its Django.
  - The port of the certificate and the switch of maintenance are in the fact that the role C(nginx) wrote on the host.
options:
  project: {type: dict, required: true, description: As the module release has it.}
  script: {type: str, required: true, description: What Django is asked; the content of a Python file.}
  services: {type: list, elements: str, default: [], description: "Further units to look at, also with a wildcard."}
author: Slipway contributors
"""

DJANGO_SECONDS = 10
PROXY_SECONDS = 3
# What was started again this lately ends again and again, as far as can be told.
RESTARTING_SECONDS = 60


def iso(timestamp: float) -> str:
    return datetime.datetime.fromtimestamp(timestamp, datetime.timezone.utc).isoformat(timespec="seconds")


def state(unit: str) -> Unit:
    """Whether a unit runs, and how often systemd had to start it again; `absent` where there is none, and `restarting`
    where that was just now."""
    shown = systemd.properties(unit, "LoadState", *systemd.STATE)
    if not shown and systemd.systemctl("list-unit-files", "--no-legend", unit).stdout:
        # An instance that does not run is not loaded, so that only its template is known.
        return {"state": "inactive", "restarts": 0}
    if shown.get("LoadState", "not-found") == "not-found":
        return {"state": "absent", "restarts": 0}
    active, restarts, seconds = systemd.state(shown)
    again = active in ("active", "activating") and restarts and seconds < RESTARTING_SECONDS
    return {"state": "restarting" if again else str(active), "restarts": restarts}


def service(unit: str) -> Unit:
    """How a unit is; of a timer also whether what it last started failed."""
    last = state(unit.removesuffix(".timer") + ".service") if unit.endswith(".timer") else None
    return last if last and last["state"] == "failed" else state(unit)


def certificate(domain: str, port: int, proxied: bool) -> Certificate | None:
    """From when to when the certificate is valid that the proxy on this host shows; None when it shows none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # It is only looked at.
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROXY_SECONDS) as link:
            if proxied:
                # The PROXY protocol's words for whoever asks on his own behalf.
                link.sendall(b"PROXY UNKNOWN\r\n")
            with context.wrap_socket(link, server_hostname=domain) as secure:
                shown = secure.getpeercert(binary_form=True)
        words = ["openssl", "x509", "-inform", "DER", "-noout", "-startdate", "-enddate"]
        said = subprocess.run(words, input=shown, capture_output=True, check=True).stdout.decode()
        begin, end = (iso(ssl.cert_time_to_seconds(line.partition("=")[2])) for line in said.splitlines())
        return {"begins": begin, "expires": end}
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def maintenance(flag: str | None) -> Maintenance:
    """Whether maintenance is on, and since when; not known without the path of its flag."""
    if not flag:
        return {"on": None, "since": None}
    try:
        return {"on": True, "since": iso(os.stat(flag).st_mtime)}
    except OSError:
        return {"on": False, "since": None}


def disk(path: str) -> Disk:
    free = os.statvfs(path)
    free_bytes = free.f_bavail * free.f_frsize
    percent = round(100 * free_bytes / shutil.disk_usage(path).total)
    return {"path": path, "free_bytes": free_bytes, "free_percent": percent}


def lengths(said: Any) -> Queues | None:
    """What the project's own command says of its queues, unless it means something else."""
    if not (isinstance(said, dict) and isinstance(said.get("queues"), dict)):
        return None
    return {"queues": said["queues"], "reachable": bool(said.get("reachable"))}


class Django:
    """Questions to the Django of the release that serves, on their way while the rest is collected."""

    def __init__(self, project: Project, slots: Slots, script: str) -> None:
        release, environment = (os.path.realpath(f"{slots.current}/{name}") for name in ("release", "environment"))
        command = ["--setenv=PGCONNECT_TIMEOUT=3", f"{release}/.venv/bin/python", "-"]
        words = transient(project, release, environment, [f"RuntimeMaxSec={DJANGO_SECONDS}"], *command)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
        if self.process.stdin:
            self.process.stdin.write(script)
            self.process.stdin.close()
            self.process.stdin = None

    def answer(self) -> tuple[Migrations, Queues | None]:
        try:
            said, wrote = self.process.communicate(timeout=DJANGO_SECONDS + 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, wrote = "", ""
        try:
            found = json.loads(said)
        except ValueError:
            lines = [line for line in wrote.splitlines() if line.strip()]
            problem = lines[-1] if lines else f"no answer within {DJANGO_SECONDS} s"
            return {"pending": None, "problem": problem}, None
        return {"pending": found["pending"], "problem": found["problem"]}, lengths(found["queues"])


class Host:
    """One project on this host."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.slots = Slots(project)
        self.slot: str | None = self.slots.serving()
        # Empty where the proxy's role never ran.
        self.facts: dict[str, Any] = read_json(project.facts) or {}

    def processes(self) -> dict[str, Unit]:
        if not self.slot:
            return {name: {"state": "inactive", "restarts": 0} for name in self.project.processes}
        return {name: self.process(name, self.slot) for name in self.project.processes}

    def process(self, name: str, slot: str) -> Unit:
        return service(self.slots.timer(name, slot) if self.slots.is_timer(name) else self.slots.service(name, slot))

    def is_provisioned(self, services: dict[str, Unit]) -> bool:
        if self.project.processes:
            return self.slots.is_provisioned()
        return not services or any(each["state"] != "absent" for each in services.values())

    def activation(self) -> Activation:
        """What serves, and the latest good attempt that made it so."""
        release, environment = self.slots.release(self.slot), self.slots.environment(self.slot)
        manifest = Builds(self.project).manifest(release) or {}
        wanted = {"release": release, "environment": environment, "result": "good"}
        records = History(self.project.root).read()[::-1] if release else []
        record: dict[str, Any] = next((each for each in records if wanted.items() <= each.items()), {})
        return {
            "release": release,
            "commit": manifest.get("commit") or record.get("commit"),
            "ref": record.get("ref") or manifest.get("ref"),
            "kind": record.get("kind"),
            "by": record.get("by"),
            "since": record.get("finished"),
        }

    def health(self, processes: dict[str, Unit]) -> Health | None:
        """What the slot's own socket answers; None on hosts without web processes."""
        if "web" not in processes:
            return None
        if not self.slot:
            return {"ok": False, "answer": "not asked: nothing serves yet"}
        if processes["web"]["state"] in ("inactive", "failed", "absent"):
            # The socket would start it.
            return {"ok": False, "answer": "not asked: web does not run"}
        answer = Probe(self.project.health_host, self.project.health_path).request(self.slots, self.slot)
        return {"ok": answer.ok, "answer": answer.text}

    def certificate(self) -> Certificate | None:
        port, proxied = self.facts.get("https_port"), bool(self.facts.get("proxy_protocol"))
        return certificate(self.project.health_host, port, proxied) if self.slots.has_web and port else None

    def unfinished(self) -> Unfinished | None:
        """What was begun and not ended."""
        attempt = Attempt(self.project.root).read()
        if not attempt:
            return None
        return {
            "kind": attempt.get("kind"),
            "release": attempt.get("release"),
            "step": attempt.get("step"),
            "by": attempt.get("by"),
            "started": attempt.get("started"),
        }

    def status(self, script: str, units: list[str]) -> HostAnswer:
        django = Django(self.project, self.slots, script) if self.slot and self.project.processes else None
        processes = self.processes()
        services = {unit.rstrip("@*"): service(unit) for unit in units}
        answer: HostAnswer = {
            "name": self.project.name,
            "provisioned": self.is_provisioned(services),
            **self.activation(),
            "processes": processes,
            "services": services,
            "health": self.health(processes),
            "certificate": self.certificate(),
            "disk": disk(self.project.root if os.path.isdir(self.project.root) else "/"),
            "maintenance": maintenance(self.facts.get("maintenance_flag")) if self.slots.has_web else None,
            "lock": cast("LockHolder | None", Lease(self.project.root).holder()),
            "unfinished": self.unfinished(),
            "migrations": None,
            "queues": None,
        }
        if django:
            answer["migrations"], answer["queues"] = django.answer()
        return answer


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project": project_spec(),
            "script": {"type": "str", "required": True},
            "services": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    project = Project(**module.params["project"])
    status = Host(project).status(module.params["script"], module.params["services"])
    module.exit_json(changed=False, status=status)


if __name__ == "__main__":
    main()
