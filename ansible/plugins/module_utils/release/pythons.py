"""The Python that a release runs with: the host's, one at a path, or a version that uv brings."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.files import names

if TYPE_CHECKING:
    from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools

HOST = "/usr/bin/python3"


class Pythons:
    """The Python that the project asks for, and the folder of those that uv brought."""

    def __init__(self, root: str, wanted: str, mirror: str) -> None:
        self.folder, self.wanted, self.mirror = os.path.join(root, "pythons"), wanted, mirror

    def present(self) -> str | None:
        """The interpreter to use, where the host has it: its own where that is the version."""
        if not self.wanted or self.wanted.startswith("/"):
            return self.wanted or HOST
        if f"{version_of(HOST)}.".startswith(f"{self.wanted}."):
            return HOST
        minor = ".".join(self.wanted.split(".")[:2])
        version = re.compile(rf"cpython-{re.escape(self.wanted)}(?:\.(\d+))?-")
        found = [(int(match[1] or 0), name) for name in names(self.folder) if (match := version.match(name))]
        paths = [os.path.join(self.folder, name, "bin", f"python{minor}") for _, name in sorted(found)]
        return next(filter(os.path.exists, reversed(paths)), None)

    def provide(self, tools: Tools) -> str:
        """The same, brought by uv where the host does not have it."""
        if path := self.present():
            return path
        settings = {"UV_PYTHON_INSTALL_DIR": self.folder, "UV_PYTHON_DOWNLOADS": "manual"}
        if self.mirror:
            settings["UV_PYTHON_INSTALL_MIRROR"] = self.mirror
        _, output = tools.uv("python", "install", "--no-bin", self.wanted, **settings)
        self.tidy()
        if path := self.present():
            return path
        raise UserError(
            f"uv cannot bring Python {self.wanted}, which application_python asks for: {cause(output)}. Name a version "
            "that it knows, the path of an interpreter, or in application_python_mirror a mirror that it reaches.",
            output.splitlines()[-20:],
        )

    def tidy(self) -> None:
        """Remove links that would follow the newest patch, and a lock that everybody may write to."""
        for path in (os.path.join(self.folder, name) for name in [*names(self.folder), ".lock"]):
            if os.path.islink(path) or path.endswith(".lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def prune(self, venvs: str) -> None:
        """Remove those that no virtual environment in a folder uses."""
        used = [os.path.realpath(os.path.join(venvs, name, "bin", "python")) for name in names(venvs)]
        for path in (os.path.join(self.folder, name) for name in names(self.folder)):
            if not any(each.startswith(f"{os.path.realpath(path)}/") for each in used):
                shutil.rmtree(path, ignore_errors=True)


@functools.cache
def version_of(interpreter: str) -> str:
    command = [interpreter, "-I", "-c", "import platform; print(platform.python_version())"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"application_python {interpreter} does not run on this host: install it, or name another."
        ) from error


def cause(output: str) -> str:
    """Why uv failed, which it tells from the outside in."""
    causes = re.findall(r"^\s*(?:cause|error): (.+)", output, re.MULTILINE)
    return str((causes or ["no reason was given"])[-1]).rstrip(".")
