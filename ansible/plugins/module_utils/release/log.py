"""The log of an attempt: each command that it runs, and what that says."""

from __future__ import annotations

import os
import subprocess

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError


class Log:
    def __init__(self, root: str, attempt_id: str) -> None:
        self.path = os.path.join(root, "logs", f"{attempt_id}.log")

    def write(self, text: str) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        with open(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w") as file:
            file.write(text.rstrip() + "\n")

    def run(self, *words: str, cwd: str | None = None, **environment: str) -> tuple[bool, str]:
        """Run a command, and keep what it says; whether it failed, and its output."""
        polite = ("nice", *words)
        variables = {**os.environ, **environment}
        done = subprocess.run(polite, capture_output=True, text=True, check=False, env=variables, cwd=cwd)
        output = done.stdout + done.stderr
        self.write(f"$ {' '.join(words)}\n{output}")
        return done.returncode != 0, output

    def require(self, refusal: str, *words: str) -> None:
        """Run a command that has to succeed, or refuse with what it said last."""
        failed, output = self.run(*words)
        if failed:
            lines = output.rstrip().splitlines()[-20:]
            raise UserError(f"{refusal}: {(lines or ['no reason was given'])[-1].strip().rstrip('.')}.", lines)
