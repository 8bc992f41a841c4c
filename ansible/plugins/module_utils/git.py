"""git as the controller calls it: a checkout may be somebody else's, and nobody is there to answer questions."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Lines before the one in which git gives up.
SAID = 3


def git(folder: Path | str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # The checkout may belong to the person behind sudo.
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *words]
    # Names of files are in any encoding.
    return subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", check=False, env=env)


def blob(folder: Path | str, digest: str) -> bytes:
    """What a file of a repository holds."""
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), "cat-file", "blob", digest]
    return subprocess.run(command, capture_output=True, check=True).stdout


def unattended() -> dict[str, str]:
    """The environment in which git asks nobody, and says what is wrong in English."""
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def without_login(text: str) -> str:
    """A text without the users, passwords and tokens of the addresses in it."""
    return re.sub(r"//[^\s'\"]*@", "//", text)


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why git failed, in its own words: what ssh or the server said before its last line too, unless it is noise."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no answer"]
    last = next((index for index, line in enumerate(lines) if line.startswith(("fatal:", "error:"))), len(lines) - 1)
    said = [line for line in lines[:last] if not line.startswith(("warning:", "hint:", "Warning:", "Cloning "))]
    return without_login(". ".join(line.rstrip(".") for line in [*said[-SAID:], lines[last]]))
