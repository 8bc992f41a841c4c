"""What graders ask for and a host does not do, each with its reason: waivers.toml."""

from __future__ import annotations

from pathlib import Path

import tomllib

FILE = Path(__file__).with_name("waivers.toml")


def waivers(grader: str) -> dict[str, str]:
    """The reason of each waiver, by what the grader calls it."""
    reasons: dict[str, str] = tomllib.loads(FILE.read_text()).get(grader, {})
    return reasons
