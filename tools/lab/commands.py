"""Commands of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError


def run(*command: str | Path, text: str | None = None, folder: Path | None = None) -> str:
    """Run a command quietly, with `text` as its input; when it fails, the error says what it wrote."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, input=text, cwd=folder)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise UserError(f"`{' '.join(words)}` failed: " + " / ".join(lines))
    return done.stdout


def succeeds(*command: str | Path) -> bool:
    return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0
