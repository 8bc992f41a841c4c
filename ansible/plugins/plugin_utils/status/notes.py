"""Sentences below a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from ansible_collections.slipway.host.plugins.module_utils.status import HostStatus
from ansible_collections.slipway.host.plugins.plugin_utils.output import Paint


def listed(names: list[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def different_releases(hosts: Mapping[str, HostStatus]) -> Iterator[str]:
    """A sentence where hosts run different releases."""
    running: dict[str, list[str]] = {}
    for name, host in hosts.items():
        if host["release"]:
            running.setdefault(host["release"], []).append(name)
    if len(running) > 1:
        each = [
            f"{listed(names)} {'runs' if len(names) == 1 else 'run'} {release}" for release, names in running.items()
        ]
        yield f"The hosts run different releases: {'; '.join(each)}."


def missing_hosts(unreachable: Mapping[str, str], failed: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name} cannot be reached: {reason}." for name, reason in unreachable.items())
    yield from (f"{name} could not be asked: {reason}." for name, reason in failed.items())


def warning(sentence: str, width: int, paint: Paint) -> Iterator[str]:
    lines = textwrap.wrap(f"! {sentence}", width, subsequent_indent="  ")
    yield from (paint(line, "bad") for line in lines)
