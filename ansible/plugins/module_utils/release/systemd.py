"""Units of systemd: their state, what they wrote, and how they start and stop."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import time
from typing import NamedTuple

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

# The readiness probe names itself with this, so that what the application logs about it can be left out.
PROBE_ID = "release-probe"
# The properties that tell a State.
STATE = ("ActiveState", "NRestarts", "ActiveEnterTimestampMonotonic")


class State(NamedTuple):
    """How a unit is, how often systemd started it again, and for how long it is active."""

    active: str | None
    restarts: int
    seconds: float


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


def states(units: list[str]) -> dict[str, State]:
    """The state of each unit."""
    if not units:
        return {}
    answer = systemctl("show", *units, f"--property={','.join(STATE)}").stdout
    described = [fields(part) for part in answer.strip().split("\n\n")]
    return {unit: state(found) for unit, found in zip(units, described, strict=True)}


def state(found: dict[str, str]) -> State:
    active, restarts, since = (found.get(name) for name in STATE)
    return State(active, int(restarts or 0), time.monotonic() - int(since or 0) / 1e6)


def journal(unit: str, since: float | None = None) -> list[str]:
    """The last lines that the unit's latest process wrote, or all of them since a moment, without what they wrote about
    our own questions."""
    # What a process says as it ends is not always written yet.
    run("journalctl", "--sync")
    invocation = properties(unit, "InvocationID").get("InvocationID")
    which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else [f"--unit={unit}"]
    if since:
        which = [f"_SYSTEMD_UNIT={unit}", f"--since=@{int(since)}"]
    lines = run("journalctl", *which, "--lines=200", "--no-pager", "--output=cat").stdout.splitlines()
    return [line for line in lines if PROBE_ID not in line][-25:]


def exception(lines: list[str]) -> str:
    """The last exception of a log, without its trace; empty where there is none."""
    plain = [part for line in lines for part in parts(line)]
    for before, line in reversed(list(itertools.pairwise(plain))):
        if before.startswith("  ") and re.match(r"[A-Za-z_][\w.]*(: .*)?$", line):
            return line
    return ""


def parts(line: str) -> list[str]:
    """The lines of an event of a log, also where it is logged as JSON."""
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event.get("exception"), str):
            return str(event["exception"]).splitlines()
    return [line.rstrip()]


def last_words(lines: list[str]) -> str:
    """Why a process ended, as the end of a sentence: its last exception, or its last line."""
    said = exception(lines) or next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return said.strip().rstrip(".")


def is_active(unit: str) -> bool:
    return systemctl("is-active", "--quiet", unit).returncode == 0


def are_gone(units: list[str]) -> bool:
    """Whether none of the units runs."""
    return all(state.active in ("inactive", "failed") for state in states(units).values())


def start(unit: str) -> None:
    systemctl("reset-failed", unit)
    since = time.time()
    done = systemctl("start", unit)
    if done.returncode:
        # What systemd itself refuses has no journal.
        lines = journal(unit, since) or done.stderr.splitlines()
        raise UserError(f"{unit} failed to start: {last_words(lines)}.", lines)


def stop(units: list[str]) -> None:
    """Stop units, first those that start others, and forget their failures."""
    if not units:
        return
    for part in ([unit for unit in units if unit.endswith((".socket", ".timer"))], units):
        if part:
            systemctl("stop", *part)
    systemctl("reset-failed", *units)
