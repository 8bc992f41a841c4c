"""Virtual environments, one for each content of a requirements file, and the tools that make them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import requirements as kinds
from ansible_collections.slipway.host.plugins.module_utils.release.files import digest, names
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import HOST, Pythons, version_of

SERVERS = ("celery", "daphne", "granian", "gunicorn", "hypercorn", "uvicorn")
# Ends with the first path in a folder that may not be used; a link that leads nowhere is nobody's loss.
PROOF = """
import os, sys
for folder, folders, files in os.walk(sys.argv[1], onerror=sys.exit):
    for mode, names in ((os.R_OK | os.X_OK, folders), (os.R_OK, files)):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.exists(path) and not os.access(path, mode):
                sys.exit(path)
"""


class Tools:
    """What builds releases, each in a virtual environment of its own; what it says goes to the log of an attempt."""

    def __init__(self, root: str, log: Log) -> None:
        self.root, self.log = root, log

    def equip(self, name: str, requirements: str) -> None:
        """Install a tool, unless it is there."""
        folder = os.path.join(self.root, name)
        pin = os.path.join(folder, "requirements.txt")
        with contextlib.suppress(FileNotFoundError), open(pin) as file:
            if file.read() == requirements:
                return
        refusal = f"The tools in {folder} could not be installed; has this host a network?"
        self.log.require(refusal, HOST, "-m", "venv", "--clear", folder)
        with open(f"{pin}.new", "w") as file:
            file.write(requirements)
        pip = (f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        self.log.require(refusal, *pip, "--require-hashes", "--requirement", f"{pin}.new")
        os.replace(f"{pin}.new", pin)

    def uv(self, *words: str, cwd: str | None = None, **more: str) -> tuple[bool, str]:
        settings = {
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1",
            "UV_CACHE_DIR": os.path.join(self.root, "tools", "cache"),
            "UV_NO_PROGRESS": "1",
            **more,
        }
        done = self.log.run(os.path.join(self.root, "tools", "bin", "uv"), *words, cwd=cwd, **settings)
        self.close_locks()
        return done

    def close_locks(self) -> None:
        """Let nobody else write to uv's locks, which it opens to everybody whatever the umask."""
        cache, venvs = os.path.join(self.root, "tools", "cache"), os.path.join(self.root, "venvs")
        paths = [os.path.join(folder, name) for folder, _, files in os.walk(cache) for name in files]
        paths += [os.path.join(venvs, name, ".lock") for name in names(venvs)]
        for path in paths:
            if path.endswith(".lock") and os.path.exists(path):
                os.chmod(path, 0o644)

    def poetry(self, *words: str, cwd: str) -> tuple[bool, str]:
        cache = os.path.join(self.root, "poetry", "cache")
        poetry = os.path.join(self.root, "poetry", "bin", "poetry")
        return self.log.run(poetry, *words, cwd=cwd, POETRY_CACHE_DIR=cache, HOME=cache)


class Venvs:
    """The folder of virtual environments below the project's root."""

    def __init__(self, root: str, user: str, pythons: Pythons) -> None:
        self.folder, self.user, self.pythons = os.path.join(root, "venvs"), user, pythons

    def path(self, requirements: str, python: str) -> str:
        """Where the virtual environment of a list of packages lives: one for each content and Python."""
        name = f"{digest(requirements)[:12]}-{version_of(python)}"
        place = "" if python == HOST else f"-{hashlib.sha256(python.encode()).hexdigest()[:8]}"
        return os.path.join(self.folder, name + place)

    def is_complete(self, path: str) -> bool:
        return os.path.exists(os.path.join(path, ".complete"))

    def ready(self, folder: str, requirements_file: str, added: list[str]) -> str | None:
        """The virtual environment that unpacked files need, where it is there already."""
        requirements, python = kinds.ready_list(folder, requirements_file, added), self.pythons.present()
        path = self.path(requirements, python) if requirements and python else None
        return path if path and self.is_complete(path) else None

    def closed(self, tools: Tools, path: str) -> str:
        """What keeps the project's user from a virtual environment; empty where nothing does."""
        who = ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups")
        failed, output = tools.log.run(*who, os.path.join(path, "bin", "python"), "-I", "-c", PROOF, path, cwd="/")
        return (output.strip().splitlines() or ["no reason was given"])[-1] if failed else ""

    def install(self, tools: Tools, requirements: str, python: str) -> str:
        """Build a virtual environment where it will live, unless it is there; it counts once it is marked complete."""
        path = self.path(requirements, python)
        if self.is_complete(path) and not self.closed(tools, path):
            return path
        hashes = ["--require-hashes"] if kinds.has_hashes(requirements) else []
        sync = ("pip", "sync", *hashes, "--compile-bytecode", f"--python={path}/bin/python", requirements)
        for words in (("venv", "--clear", f"--python={python}", path), sync):
            # Paths in a list of packages are relative to it.
            failed, output = tools.uv(*words, cwd=os.path.dirname(requirements))
            if failed:
                raise UserError(f"The packages cannot be installed: {kinds.reason(output)}", output.splitlines()[-20:])
        if closed := self.closed(tools, path):
            raise UserError(
                f"The user {self.user} may not use the virtual environment {path}: {closed}. "
                f"Open {self.folder} and the folders above it to everybody (chmod a+rx)."
            )
        with open(os.path.join(path, ".complete"), "w") as file:
            file.write(f"{digest(requirements)}\n")
        return path

    def discard_incomplete(self) -> None:
        for path in (os.path.join(self.folder, name) for name in names(self.folder)):
            if not self.is_complete(path):
                shutil.rmtree(path, ignore_errors=True)

    def prune(self, used: set[str]) -> None:
        """Remove all but those of these names, and each Python that none of them uses."""
        for name in names(self.folder):
            if name not in used:
                shutil.rmtree(os.path.join(self.folder, name))
        self.pythons.prune(self.folder)


def require_commands(folder: str, venv: str, requirements_file: str, commands: list[str]) -> None:
    """Refuse a server that is not installed before systemd tries to start it."""
    path = f"{venv}/bin:/usr/bin:/bin"
    for command in commands:
        words = shlex.split(command)
        for word in dict.fromkeys([*words[:1], *(word for word in words if word in SERVERS)]):
            if not (os.path.exists(os.path.join(folder, word)) or shutil.which(word, path=path)):
                raise UserError(
                    f"The command `{command}` needs {word}, which neither the project nor the host has: add it to "
                    f"{requirements_file} or to application_python_packages, or change application_processes."
                )
