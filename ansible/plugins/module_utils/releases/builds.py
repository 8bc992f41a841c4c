"""What lies on disk: releases, their virtual environments, their static files, and what of it may go."""

import contextlib
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tarfile
import time

from ansible.module_utils.releases.records import Refused, read_json, write_json

FREE_MIB = 300
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

    def __init__(self, root, user):
        self.root, self.user = root, user

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
            raise Refused(f"{self.root} has {free} MiB free, and a release needs {FREE_MIB}: free some space first.")

    def command(self, attempt, *words, **environment):
        """Run a step of the build, and keep what it says."""
        polite = ("nice", *words)
        done = subprocess.run(polite, capture_output=True, text=True, check=False, env={**os.environ, **environment})
        said = done.stdout + done.stderr
        self.log(attempt, f"$ {' '.join(words)}\n{said}")
        if done.returncode:
            raise Refused(f"`{' '.join(words[:3])} ...` failed.", said.splitlines()[-20:])

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
            raise Refused(f"The archive {os.path.basename(archive)} cannot be read: {error}.") from error

    def venv(self, requirements):
        """Where the virtual environment of a requirements file lives: one for each content and Python."""
        version = ".".join(map(str, sys.version_info[:3]))
        return os.path.join(self.root, "venvs", f"{digest(requirements)[:12]}-{version}")

    def build(self, attempt, name, archive, requirements_file, tools_requirements):
        """Make the release's folder, except for what Django itself does."""
        folder = self.release(name)
        shutil.rmtree(folder, ignore_errors=True)
        self.unpack(archive, folder)
        requirements = os.path.join(folder, requirements_file)
        if not os.path.isfile(requirements):
            raise Refused(
                f"The release has no {requirements_file}: commit it, or name another in application_requirements_file."
            )
        self.equip(attempt, tools_requirements)
        venv = self.venv(requirements)
        if not os.path.exists(os.path.join(venv, ".complete")):
            self.install(attempt, venv, requirements)
        os.symlink(venv, os.path.join(folder, ".venv"))
        # The processes may not write into their release.
        self.command(attempt, f"{venv}/bin/python", "-m", "compileall", "-q", "-x", r"\.venv", folder)
        with open(os.path.join(folder, ".complete"), "w") as file:
            file.write(f"RELEASE={name}\n")
        static = os.path.join(folder, "staticfiles")
        os.makedirs(static, mode=0o755, exist_ok=True)
        owner = pwd.getpwnam(self.user)
        os.chown(static, owner.pw_uid, owner.pw_gid)
        return digest(requirements)

    def equip(self, attempt, tools_requirements):
        """Install what builds releases, unless it is there."""
        tools = os.path.join(self.root, "tools")
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

    def install(self, attempt, venv, requirements):
        """Build a virtual environment where it will live; it counts once it is marked complete."""
        tools = os.path.join(self.root, "tools")
        settings = {
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1",
            "UV_CACHE_DIR": os.path.join(tools, "cache"),
            "UV_NO_PROGRESS": "1",
        }
        uv = f"{tools}/bin/uv"
        self.command(attempt, uv, "venv", "--clear", "--python=/usr/bin/python3", venv, **settings)
        sync = ("pip", "sync", "--require-hashes", "--compile-bytecode", f"--python={venv}/bin/python", requirements)
        self.command(attempt, uv, *sync, **settings)
        with open(os.path.join(venv, ".complete"), "w") as file:
            file.write(f"{digest(requirements)}\n")

    def finish(self, name, **metadata):
        """Mark a release as finished, with what it is."""
        write_json(os.path.join(self.release(name), ".release.json"), {"release": name, **metadata})

    def discard(self, name):
        shutil.rmtree(self.release(name), ignore_errors=True)

    # --- static files

    def static_files(self, name):
        """Paths of a release's static files, relative to their folder."""
        folder = os.path.join(self.release(name), "staticfiles")
        for where, _, files in os.walk(folder):
            for file in files:
                yield os.path.relpath(os.path.join(where, file), folder)

    def share_static(self, name):
        """Put the release's static files beside those of the others, for pages that browsers still hold."""
        for path in self.static_files(name):
            source = os.path.join(self.release(name), "staticfiles", path)
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
        raise Refused("The step ended without an answer.") from error
