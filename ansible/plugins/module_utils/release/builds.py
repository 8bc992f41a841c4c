"""What lies on disk: releases, their virtual environments, their static files, and what of it may go."""

import contextlib
import hashlib
import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import tarfile
import time

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import requirements as kinds
from ansible_collections.slipway.host.plugins.module_utils.release.records import read_json, write_json

FREE_MIB = 300
SERVERS = ("celery", "daphne", "granian", "gunicorn", "hypercorn", "uvicorn")
LOGS_KEPT = 20


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def names(folder):
    with contextlib.suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return []


class Builds:
    """The folders below the project's root."""

    def __init__(self, root, user, static_folder="staticfiles", links=()):
        self.root, self.user, self.static_folder = root, user, static_folder
        # Paths of a release that lead to what outlives it, each with the folder below the root that it lies in.
        self.links = dict(links)

    def release(self, name):
        return os.path.join(self.root, "releases", name)

    def metadata(self, name):
        """What a finished release is: commit, requirements, migrations; None for one that was not finished."""
        return name and read_json(os.path.join(self.release(name), ".release.json"))

    def log_path(self, attempt):
        return os.path.join(self.root, "logs", f"{attempt}.log")

    def log(self, attempt, text):
        os.makedirs(os.path.join(self.root, "logs"), mode=0o755, exist_ok=True)
        with open(os.open(self.log_path(attempt), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w") as file:
            file.write(text.rstrip() + "\n")

    def require_room(self):
        free = shutil.disk_usage(self.root).free // 2**20
        if free < FREE_MIB:
            raise UserError(f"{self.root} has {free} MiB free, and a release needs {FREE_MIB}: free some space first.")

    def run(self, attempt, *words, cwd=None, **environment):
        """Run a step of the build, and keep what it says."""
        polite = ("nice", *words)
        variables = {**os.environ, **environment}
        done = subprocess.run(polite, capture_output=True, text=True, check=False, env=variables, cwd=cwd)
        said = done.stdout + done.stderr
        self.log(attempt, f"$ {' '.join(words)}\n{said}")
        return done.returncode, said

    def command(self, attempt, *words, **environment):
        failed, said = self.run(attempt, *words, **environment)
        if failed:
            raise UserError(f"`{' '.join(words[:3])} ...` failed.", said.splitlines()[-20:])

    def unpack(self, archive, folder):
        os.makedirs(folder, mode=0o755)
        try:
            with tarfile.open(archive) as source:
                for member in source.getmembers():
                    member.uid = member.gid = 0
                    member.uname = member.gname = "root"
                    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                safe = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
                source.extractall(folder, **safe)  # noqa: S202 - packed by the controller from its own checkout
        except tarfile.TarError as error:
            raise UserError(f"The archive {os.path.basename(archive)} cannot be read: {error}.") from error
        for path, below in self.links.items():
            self.link(folder, path, below)

    def outlives(self, path, below):
        """What a path of the release leads to; a path that ends with a slash is a folder."""
        return os.path.join(self.root, below, path.rstrip("/")) if below else os.path.join(self.root, "media")

    def keep(self, path, below):
        """Make the folder in which it lies."""
        target = self.outlives(path, below)
        folder = target if path.endswith("/") else os.path.dirname(target)
        if not os.path.isdir(folder):
            owner = pwd.getpwnam(self.user)
            os.makedirs(folder, mode=0o700)
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    def link(self, folder, path, below):
        """Let a path of the release lead to what outlives it."""
        place = os.path.join(folder, path.rstrip("/"))
        if os.path.isdir(place) and not names(place):
            shutil.rmtree(place)
        if os.path.lexists(place):
            raise UserError(
                f"{path} is in the repository, and should be what the project writes and keeps: remove it there "
                f"(git rm -r --cached), or from application_{'persistent_paths' if below else 'media_folder'}."
            )
        os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
        os.symlink(self.outlives(path, below), place)

    def venv(self, requirements):
        """Where the virtual environment of a requirements file lives: one for each content and Python."""
        version = ".".join(map(str, sys.version_info[:3]))
        return os.path.join(self.root, "venvs", f"{digest(requirements)[:12]}-{version}")

    def known_venv(self, folder, requirements_file):
        """Where the virtual environment of unpacked files would live, as far as that can be told without a build."""
        known = kinds.known(folder, requirements_file)
        return known and self.venv(known)

    def build(self, attempt, name, archive, requirements_file, tools, commands):
        """Make the release's folder, except for what Django itself does."""
        folder = self.release(name)
        shutil.rmtree(folder, ignore_errors=True)
        self.unpack(archive, folder)
        for path, below in self.links.items():
            self.keep(path, below)
        if not os.path.isfile(kinds.place(folder, requirements_file)):
            raise UserError(
                f"The release has no {requirements_file}: commit it, or name another in application_requirements_file."
            )
        self.equip(attempt, "tools", tools["tools"])
        if kinds.kind(requirements_file) == "poetry":
            self.equip(attempt, "poetry", tools["poetry"])
        requirements, warnings = kinds.resolve(self, attempt, folder, requirements_file)
        venv = self.venv(requirements)
        if not os.path.exists(os.path.join(venv, ".complete")):
            self.install(attempt, venv, requirements)
        self.require_commands(folder, venv, requirements_file, commands)
        os.symlink(venv, os.path.join(folder, ".venv"))
        # The processes may not write into their release.
        self.command(attempt, f"{venv}/bin/python", "-m", "compileall", "-q", "-x", r"\.venv", folder)
        with open(os.path.join(folder, ".complete"), "w") as file:
            file.write(f"RELEASE={name}\n")
        static = os.path.join(folder, self.static_folder)
        os.makedirs(static, mode=0o755, exist_ok=True)
        owner = pwd.getpwnam(self.user)
        os.chown(static, owner.pw_uid, owner.pw_gid)
        return digest(requirements), warnings

    def require_commands(self, folder, venv, requirements_file, commands):
        """Refuse a server that is not installed before systemd tries to start it."""
        path = f"{venv}/bin:/usr/bin:/bin"
        for command in commands:
            words = shlex.split(command)
            for word in dict.fromkeys([*words[:1], *(word for word in words if word in SERVERS)]):
                if not (os.path.exists(os.path.join(folder, word)) or shutil.which(word, path=path)):
                    raise UserError(
                        f"The command `{command}` needs {word}, which neither the project nor the host has: add it to "
                        f"{requirements_file}, or change application_processes."
                    )

    def equip(self, attempt, name, tools_requirements):
        """Install what builds releases, unless it is there."""
        tools = os.path.join(self.root, name)
        pin = os.path.join(tools, "requirements.txt")
        with contextlib.suppress(FileNotFoundError), open(pin) as file:
            if file.read() == tools_requirements:
                return
        self.command(attempt, "/usr/bin/python3", "-m", "venv", "--clear", tools)
        with open(f"{pin}.new", "w") as file:
            file.write(tools_requirements)
        pip = (f"{tools}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
        self.command(attempt, *pip, "--requirement", f"{pin}.new")
        os.replace(f"{pin}.new", pin)

    def uv(self, attempt, *words, cwd=None):
        settings = {
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1",
            "UV_CACHE_DIR": os.path.join(self.root, "tools", "cache"),
            "UV_NO_PROGRESS": "1",
        }
        return self.run(attempt, os.path.join(self.root, "tools", "bin", "uv"), *words, cwd=cwd, **settings)

    def install(self, attempt, venv, requirements):
        """Build a virtual environment where it will live; it counts once it is marked complete."""
        hashes = ["--require-hashes"] if kinds.has_hashes(requirements) else []
        sync = ("pip", "sync", *hashes, "--compile-bytecode", f"--python={venv}/bin/python", requirements)
        for words in (("venv", "--clear", "--python=/usr/bin/python3", venv), sync):
            # Paths in a list of packages are relative to it.
            failed, said = self.uv(attempt, *words, cwd=os.path.dirname(requirements))
            if failed:
                raise UserError(f"The packages cannot be installed: {kinds.reason(said)}", said.splitlines()[-20:])
        with open(os.path.join(venv, ".complete"), "w") as file:
            file.write(f"{digest(requirements)}\n")

    def finish(self, name, **metadata):
        """Mark a release as finished, with what it is."""
        write_json(os.path.join(self.release(name), ".release.json"), {"release": name, **metadata})

    def discard(self, name):
        """Remove a release, and virtual environments that were never finished."""
        shutil.rmtree(self.release(name), ignore_errors=True)
        for venv in names(os.path.join(self.root, "venvs")):
            path = os.path.join(self.root, "venvs", venv)
            if not os.path.exists(os.path.join(path, ".complete")):
                shutil.rmtree(path, ignore_errors=True)

    # --- static files

    def static_files(self, name):
        """Paths of a release's static files, relative to their folder."""
        folder = os.path.join(self.release(name), self.static_folder)
        for where, _, files in os.walk(folder):
            for file in files:
                yield os.path.relpath(os.path.join(where, file), folder)

    def share_static(self, name):
        """Put the release's static files beside those of the others, for pages that browsers still hold."""
        for path in self.static_files(name):
            source = os.path.join(self.release(name), self.static_folder, path)
            shared = os.path.join(self.root, "static", path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samefile(source, shared):
                    continue
            os.makedirs(os.path.dirname(shared), mode=0o755, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{shared}.new")
            os.link(source, f"{shared}.new")
            os.replace(f"{shared}.new", shared)

    def touch_static(self, name):
        """Remember that pages with these files were handed out until now."""
        for path in self.static_files(name):
            with contextlib.suppress(FileNotFoundError):
                os.utime(os.path.join(self.root, "static", path))

    def prune_static(self, releases, days):
        kept = {path for name in releases for path in self.static_files(name)}
        shared = os.path.join(self.root, "static")
        oldest = time.time() - days * 86400
        for where, _, files in os.walk(shared):
            for file in files:
                path = os.path.join(where, file)
                if os.path.relpath(path, shared) not in kept and os.stat(path).st_mtime < oldest:
                    os.unlink(path)

    # --- what may go

    def prune(self, releases, environments, static_days):
        """Remove all but these releases and environment files, virtual environments that none of them uses."""
        gone = [name for name in names(os.path.join(self.root, "releases")) if name not in releases]
        for name in gone:
            self.discard(name)
        used = {os.path.basename(os.path.realpath(os.path.join(self.release(name), ".venv"))) for name in releases}
        for name in names(os.path.join(self.root, "venvs")):
            if name not in used:
                shutil.rmtree(os.path.join(self.root, "venvs", name))
        folder = os.path.dirname(next(iter(environments), ""))
        for name in names(folder) if folder else []:
            path = os.path.join(folder, name)
            if name.endswith(".env") and path not in environments:
                os.unlink(path)
        logs = sorted(names(os.path.join(self.root, "logs")))
        for name in logs[:-LOGS_KEPT]:
            os.unlink(os.path.join(self.root, "logs", name))
        self.prune_static(releases, static_days)
        return gone


def parse(text):
    """The JSON that a driver printed."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError("The step ended without an answer.") from error
