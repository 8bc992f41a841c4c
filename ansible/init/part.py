"""What one look at a project adds to its inventory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """Groups of the host, values that differ from the roles' defaults, secrets that were given, and what to tell."""

    groups: list[str] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    nginx: dict[str, Any] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    # Variables that a person must set: the name, and where the settings read it.
    missing: list[tuple[str, str]] = field(default_factory=list)
    # Variables whose default leads elsewhere: the name, and where the settings have which.
    defaults: list[tuple[str, str]] = field(default_factory=list)
    # Of the distribution, and of Python.
    packages: list[str] = field(default_factory=list)
    python_packages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def together(parts: Iterable[Part]) -> Part:
    """All that the parts say, in their order."""
    whole = Part()
    for part in parts:
        whole.groups.extend(part.groups)
        whole.processes.extend(part.processes)
        whole.variables.update(part.variables)
        whole.environment.update(part.environment)
        whole.nginx.update(part.nginx)
        whole.cache.update(part.cache)
        whole.secrets.update(part.secrets)
        whole.missing.extend(part.missing)
        whole.defaults.extend(part.defaults)
        whole.packages.extend(part.packages)
        whole.python_packages.extend(part.python_packages)
        whole.notes.extend(part.notes)
    return whole
