"""Commands of the project that build or prepare a release: one after the other, in a sandbox, timed and logged."""

from __future__ import annotations

import time

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.django import transient
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.model import Request

# As a shell says that there is no such command.
UNKNOWN = 127


def run(host: Host, request: Request, variable: str, commands: list[str], *properties: str) -> None:
    """Run the commands of a variable in the folder of the release, as the project's user."""
    for command in commands:
        # Renews the lock, since each may take long.
        attempt = host.owned_attempt(request)
        seconds, unit = host.project.command_timeout_seconds, host.slots.command_unit
        # One that outlived its run.
        systemd.stop([unit])
        folder = host.builds.path(attempt["release"])
        limits = [f"RuntimeMaxSec={seconds}", "CPUWeight=20", "Nice=10", *properties]
        home = "/tmp"  # noqa: S108 - the sandbox has a /tmp of its own
        variables = {"PATH": f"{folder}/.venv/bin:/usr/bin:/bin", "HOME": home, "PYTHONUNBUFFERED": "1"}
        options = [f"--unit={unit}", *(f"--setenv={name}={value}" for name, value in variables.items())]
        # systemd would put in variables by itself, and otherwise than a shell.
        shell = [*options, "/bin/sh", "-c", command.replace("$", "$$")]
        began = time.monotonic()
        done = systemd.run(*transient(host.project, folder, attempt["environment"], limits, *shell))
        said = done.stdout + done.stderr
        Log(host.project.root, attempt["id"]).write(f"$ {command}\n{said}")
        if done.returncode:
            lines = said.splitlines()[-25:]
            is_late = time.monotonic() - began >= seconds
            raise UserError(f"`{command}` in {variable} {reason(done.returncode, lines, seconds, is_late)}.", lines)


def reason(status: int, lines: list[str], seconds: int, is_late: bool) -> str:
    if is_late:
        return f"did not end within {seconds} s: raise application_command_timeout_seconds, or make it faster"
    hint = ""
    if status == UNKNOWN:
        hint = ". Add what brings it to the project's requirements or to application_packages"
    return f"failed: {systemd.last_words(lines)}{hint}"
