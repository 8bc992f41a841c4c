#!/usr/bin/python
"""Say what runs on a host and how it is; changes nothing and takes no lock."""

import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds
from ansible_collections.slipway.host.plugins.module_utils.release.django import transient
from ansible_collections.slipway.host.plugins.module_utils.release.history import History
from ansible_collections.slipway.host.plugins.module_utils.release.lease import Attempt, Lease
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project, project_spec
from ansible_collections.slipway.host.plugins.module_utils.release.probe import Probe
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots
from ansible_collections.slipway.host.plugins.module_utils.release.systemd import properties, systemctl

DOCUMENTATION = r"""
module: status
short_description: Say what runs on a host and how it is
description:
  - Collects in one go what a person asks first, and returns it as C(status). It changes nothing, takes no lock and
    starts nothing that was stopped.
  - The database and the broker are asked by the release that serves, in one start of its Django.
options:
  project: {type: dict, required: true, description: As the module release has it.}
  script: {type: str, required: true, description: What Django is asked; the content of a Python file.}
  services: {type: list, elements: str, default: [], description: "Further units to look at, also with a wildcard."}
  https_port: {type: int, default: 443, description: Where the proxy shows its certificate.}
  maintenance_flag: {type: str, default: "", description: The file that turns maintenance on; empty for none.}
author: Slipway contributors
"""

DJANGO_SECONDS = 10
PROXY_SECONDS = 3


def iso(timestamp):
    return datetime.datetime.fromtimestamp(timestamp, datetime.timezone.utc).isoformat(timespec="seconds")


def state(unit):
    """Whether a unit runs, and how often systemd had to start it again; `absent` where there is none."""
    found = properties(unit, "ActiveState", "LoadState", "NRestarts")
    if not found and systemctl("list-unit-files", "--no-legend", unit).stdout:
        # An instance that does not run is not loaded, so that only its template is known.
        return {"state": "inactive", "restarts": 0}
    absent = found.get("LoadState", "not-found") == "not-found"
    return {"state": "absent" if absent else found["ActiveState"], "restarts": int(found.get("NRestarts") or 0)}


def certificate(domain, port):
    """When the certificate expires that the proxy on this host shows; None when it shows none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # It is only looked at.
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PROXY_SECONDS) as link,
            context.wrap_socket(link, server_hostname=domain) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
        words = ["openssl", "x509", "-inform", "DER", "-noout", "-enddate"]
        said = subprocess.run(words, input=shown, capture_output=True, check=True).stdout.decode()
        return iso(ssl.cert_time_to_seconds(said.strip().partition("=")[2]))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


class Django:
    """Questions to the Django of the release that serves, on their way while the rest is collected."""

    def __init__(self, project: Project, current: str, script: str) -> None:
        release, environment = os.path.realpath(f"{current}/release"), os.path.realpath(f"{current}/environment")
        limit = f"RuntimeMaxSec={DJANGO_SECONDS}"
        command = ["--setenv=PGCONNECT_TIMEOUT=3", f"{release}/.venv/bin/python", "-"]
        words = transient(project, release, environment, [limit], *command)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(words, text=True, **pipes)
        self.process.stdin.write(script)
        self.process.stdin.close()
        self.process.stdin = None

    def answer(self):
        """`pending` and `queues`, or the `problem`."""
        nothing = {"pending": None, "queues": None}
        try:
            said, wrote = self.process.communicate(timeout=DJANGO_SECONDS + 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, wrote = "", ""
        try:
            return {**nothing, "problem": None, **json.loads(said)}
        except ValueError:
            lines = [line for line in wrote.splitlines() if line.strip()]
            return {**nothing, "problem": lines[-1] if lines else f"no answer within {DJANGO_SECONDS} s"}


class Status:
    def __init__(self, project, script, services, https_port, maintenance_flag):
        self.project, self.script, self.services = project, script, services
        self.https_port, self.maintenance_flag = https_port, maintenance_flag
        self.slots = Slots(project)
        self.slot = self.slots.serving()

    def collect(self):
        django = Django(self.project, self.slots.current, self.script) if self.slot and self.project.processes else None
        units = {name: self.slots.unit(name, self.slot) for name in self.project.processes} if self.slot else {}
        processes = {name: state(unit) for name, unit in units.items()}
        services = {unit.rstrip("@*"): state(unit) for unit in self.services}
        found = {
            "name": self.project.name,
            "provisioned": self.is_provisioned(services),
            **self.release_facts(),
            "processes": processes,
            "services": services,
            "health": self.health(processes),
            "certificate": self.certificate(),
            "disk": self.disk(),
            "maintenance": self.maintenance(),
            **self.changes(),
        }
        answer = django.answer() if django else {}
        found["migrations"] = {key: answer[key] for key in ("pending", "problem")} if django else None
        found["queues"] = answer.get("queues")
        return found

    def is_provisioned(self, services):
        if self.project.processes:
            return self.slots.is_provisioned()
        return not services or any(each["state"] != "absent" for each in services.values())

    def release_facts(self):
        """What serves, and the latest good attempt that made it so."""
        release, environment = self.slots.release(self.slot), self.slots.environment(self.slot)
        manifest = Builds(self.project).manifest(release) or {}
        wanted = {"release": release, "environment": environment, "result": "good"}
        records = History(self.project.root).read()[::-1] if release else []
        record = next((each for each in records if wanted.items() <= each.items()), {})
        return {
            "release": release,
            "commit": manifest.get("commit") or record.get("commit"),
            "ref": record.get("ref") or manifest.get("ref"),
            "kind": record.get("kind"),
            "by": record.get("by"),
            "since": record.get("finished"),
        }

    def health(self, processes):
        """What the slot's own socket answers; None on hosts without web processes."""
        if "web" not in processes:
            return None
        if processes["web"]["state"] in ("inactive", "failed", "absent"):
            # The socket would start it.
            return {"ok": False, "answer": "not asked: web does not run"}
        answer = Probe(self.project.health_host, self.project.health_path).request(self.slots, self.slot)
        return {"ok": answer.ok, "answer": answer.text}

    def certificate(self):
        expires = certificate(self.project.health_host, self.https_port) if self.slots.has_web else None
        return expires and {"expires": expires}

    def disk(self):
        path = self.project.root if os.path.isdir(self.project.root) else "/"
        usage = shutil.disk_usage(path)
        free = os.statvfs(path)
        return {
            "path": path,
            "free_bytes": free.f_bavail * free.f_frsize,
            "free_percent": round(100 * free.f_bavail * free.f_frsize / usage.total),
        }

    def maintenance(self):
        """Since when maintenance is on; None on hosts that have none."""
        if not self.maintenance_flag:
            return None
        try:
            return {"on": True, "since": iso(os.stat(self.maintenance_flag).st_mtime)}
        except OSError:
            return {"on": False, "since": None}

    def changes(self):
        """Who changes the release now, and what was begun and not ended."""
        keys = ("kind", "release", "step", "by", "started")
        attempt = Attempt(self.project.root).read()
        return {
            "lock": Lease(self.project.root).holder(),
            "unfinished": attempt and {key: attempt.get(key) for key in keys},
        }


def main():
    module = AnsibleModule(
        argument_spec={
            "project": project_spec(),
            "script": {"type": "str", "required": True},
            "services": {"type": "list", "elements": "str", "default": []},
            "https_port": {"type": "int", "default": 443},
            "maintenance_flag": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    project = Project(**module.params.pop("project"))
    module.exit_json(changed=False, status=Status(project, **module.params).collect())


if __name__ == "__main__":
    main()
