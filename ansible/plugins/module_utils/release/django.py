"""The release's own Django on a host: a step in the slot's unit, or a question in a unit that is gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable
from typing import cast

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, files_of
from ansible_collections.slipway.host.plugins.module_utils.release.lease import Attempt
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots

# Of what the units have in their sandbox.j2, as much as suits any command of a project, also compilers and packagers.
SANDBOX = (
    "CapabilityBoundingSet=",
    "DevicePolicy=closed",
    "IPAddressAllow=0.0.0.0/1 128.0.0.0/2 192.0.0.0/3 ::/1 fc00::/7 fe80::/10",
    "IPAddressDeny=any",
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateUsers=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
)
# What a person types runs the code of the processes, and sees that person's files, as far as the project's user may.
# What nobody types sees none.
APART = ("PrivateTmp=yes", "ProtectHome=yes", "ProtectSystem=strict")
BESIDE = (
    "MemoryDenyWriteExecute=yes",
    "ProcSubset=pid",
    "ProtectSystem=full",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
)


def sandbox(user: str) -> list[str]:
    """Properties of a unit that runs a command which a person types."""
    return [f"User={user}", f"Group={user}", *SANDBOX, *BESIDE]


def transient(project: Project, folder: str, environment: str, properties: Iterable[str], *command: str) -> list[str]:
    """The words that run a command in a folder of the project's code, with the configuration of an environment file."""
    places = [f"WorkingDirectory={folder}", f"EnvironmentFile={environment}", f"EnvironmentFile=-{folder}/.complete"]
    who = [f"User={project.user}", f"Group={project.user}"]
    writable = f"ReadWritePaths={project.root}/data -{project.root}/media"
    files = f"BindReadOnlyPaths=-{files_of(environment)}:{project.root}/files"
    wanted = [*who, *SANDBOX, *APART, writable, files, *places, *properties]
    words = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe"]
    return [*words, *(f"--property={each}" for each in wanted), *command]


def parse(text: str) -> Json:
    """The JSON that the driver printed."""
    try:
        return cast(Json, json.loads(text))
    except ValueError as error:
        raise UserError("The step ended without an answer.") from error


def refusal(text: str, said: list[str]) -> str:
    """Why the driver failed, as the end of a sentence: what it answered, else the last that was said."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["refused"]).rstrip(".")
    return systemd.last_words(said)


class Django:
    """Steps that only the release's own code can take; what they say goes to the log of the attempt."""

    def __init__(self, project: Project, slots: Slots, builds: Builds, attempt: Attempt) -> None:
        self.project, self.slots, self.builds, self.attempt = project, slots, builds, attempt

    def settings(self) -> dict[str, str]:
        """What a step needs to know beside its name."""
        serving = self.builds.manifest(self.slots.serving_release()) or {}
        return {
            "PGOPTIONS": f"-c lock_timeout={self.project.lock_timeout_seconds * 1000}",
            "SQUAWK": f"{self.project.root}/tools/bin/squawk",
            "LINTED_APPS": " ".join(serving.get("apps", [])),
            "PROJECT_DOMAIN": self.project.health_host,
            "PROJECT_ROOT": self.project.root,
            "STATIC_FOLDER": self.project.static_folder,
        }

    def take_step(self, slot: str, step: str, **settings: str) -> Json:
        """Let the slot's release take a step, sandboxed like its processes; returns what it answers."""
        folder = self.project.run_folder
        os.makedirs(folder, mode=0o755, exist_ok=True)
        values = {"STEP": step, **self.settings(), **settings}
        with open(f"{folder}/{slot}.step", "w") as file:
            file.writelines(f'{name}="{value}"\n' for name, value in values.items())
        unit = self.slots.step_unit(slot)
        # One that still runs would be joined, and answer what it was asked before.
        systemd.stop([unit])
        path = f"{folder}/{slot}.json"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        failed = systemd.systemctl("start", unit).returncode
        lines = systemd.journal(unit)
        if attempt := self.attempt.read():
            Log(self.project.root, attempt["id"]).write("\n".join([f"# {unit}: {step}", *lines]))
        answer = ""
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            answer = file.read()
        if failed:
            systemd.systemctl("reset-failed", unit)
            why = refusal(answer, lines)
            rest = [line for line in lines if line.rstrip(".") not in why]
            raise UserError(f"Release {self.slots.release(slot)} failed in the step `{step}`: {why}.", rest)
        return parse(answer)

    def plan(self, folder: str, venv: str, environment: str) -> subprocess.CompletedProcess[str]:
        """Ask the code in a folder what it would migrate."""
        settings = {"STEP": "plan", **self.settings()}
        options = [f"--setenv={name}={value}" for name, value in settings.items()]
        command = [*options, f"{venv}/bin/python", self.project.driver]
        return systemd.run(*transient(self.project, folder, environment, (), *command))
