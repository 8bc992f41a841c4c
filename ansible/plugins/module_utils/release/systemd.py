"""Units of systemd: their state, what they wrote, and how they start and stop."""

from __future__ import annotations

import subprocess

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

# The readiness probe names itself with this, so that what the application logs about it can be left out.
PROBE_ID = "release-probe"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("systemctl", *arguments)


def fields(text: str) -> dict[str, str]:
    """What `systemctl show` prints about one unit, by name."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: value for name, _, value in pairs}


def properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit by name."""
    return fields(systemctl("show", unit, f"--property={','.join(names)}").stdout)


def states(units: list[str]) -> dict[str, tuple[str | None, str]]:
    """ActiveState and number of restarts of each unit."""
    if not units:
        return {}
    answer = systemctl("show", *units, "--property=ActiveState,NRestarts").stdout
    described = [fields(part) for part in answer.strip().split("\n\n")]
    return {
        unit: (state.get("ActiveState"), state.get("NRestarts", "0"))
        for unit, state in zip(units, described, strict=True)
    }


def journal(unit: str, since: float | None = None) -> list[str]:
    """The last lines that the unit's latest process wrote, or all of them since a moment, without what they wrote about
    our own questions."""
    invocation = properties(unit, "InvocationID").get("InvocationID")
    which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else [f"--unit={unit}"]
    if since:
        which = [f"_SYSTEMD_UNIT={unit}", f"--since=@{int(since)}"]
    lines = run("journalctl", *which, "--lines=200", "--no-pager", "--output=cat").stdout.splitlines()
    return [line for line in lines if PROBE_ID not in line][-25:]


def is_active(unit: str) -> bool:
    return systemctl("is-active", "--quiet", unit).returncode == 0


def are_gone(units: list[str]) -> bool:
    """Whether none of the units runs."""
    return all(state in ("inactive", "failed") for state, _ in states(units).values())


def start(unit: str) -> None:
    systemctl("reset-failed", unit)
    if systemctl("start", unit).returncode:
        raise UserError(f"{unit} failed to start.", journal(unit))


def stop(units: list[str]) -> None:
    """Stop units, sockets before services so that nothing starts them again, and forget their failures."""
    for part in ([unit for unit in units if unit.endswith(".socket")], units):
        if part:
            systemctl("stop", *part)
    systemctl("reset-failed", *units)
