"""git as the controller calls it: a checkout may be somebody else's, and nobody is there to answer questions."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(folder: Path | str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # The checkout may belong to the person behind sudo.
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def unattended() -> dict[str, str]:
    """The environment in which git asks nobody, and says what is wrong in English."""
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def without_login(text: str) -> str:
    """A text without the users, passwords and tokens of the addresses in it."""
    return re.sub(r"//[^\s'\"]*@", "//", text)


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why git failed, in its own words."""
    lines = done.stderr.strip().splitlines() or ["no answer"]
    why = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])
    return without_login(why).rstrip(".")
