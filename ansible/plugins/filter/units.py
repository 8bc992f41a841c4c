"""What systemd runs of a project: its units, and the command of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def application_units(processes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each unit of `processes` by itself: one that runs several times gets a number behind its name."""
    return [
        {**process, "name": f"{process['name']}-{number}" if number > 1 else process["name"]}
        for process in processes
        for number in range(1, process.get("count", 1) + 1)
    ]


def systemd_command(command: str) -> str:
    """`command` as one quoted word of a unit file: systemd leaves its variables and signs to the shell."""
    for sign, quoted in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        command = command.replace(sign, quoted)
    return f'"{command}"'


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"application_units": application_units, "systemd_command": systemd_command}
