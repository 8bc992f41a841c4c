"""The folders of releases: how their files come there, what they are, and which of them may go."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import time
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import requirements as kinds
from ansible_collections.slipway.host.plugins.module_utils.release.files import (
    Json,
    digest,
    files_of,
    names,
    read_json,
    unpack,
    write_json,
)
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project, Request
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import Pythons
from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools, Venvs, require_commands

FREE_MIB = 300
LOGS_KEPT = 20
# Folders in which the code of a plan is looked at.
PLAN_PREFIX = ".plan-"


class Builds:
    """The releases below the project's root."""

    def __init__(self, project: Project) -> None:
        self.project, self.root = project, project.root
        self.folder = os.path.join(self.root, "releases")
        self.pythons = Pythons(self.root, project.python, project.python_mirror)
        self.venvs = Venvs(self.root, project.user, self.pythons)

    def path(self, release: str) -> str:
        return os.path.join(self.folder, release)

    def static_folder(self, release: str) -> str:
        return os.path.join(self.path(release), self.project.static_folder)

    def manifest(self, release: str | None) -> Json | None:
        """What a finished release is: commit, requirements, migrations; None for one that was not finished."""
        return read_json(os.path.join(self.path(release), ".release.json")) if release else None

    def incomplete(self) -> list[str]:
        """Releases whose build did not end."""
        return [name for name in names(self.folder) if not self.manifest(name)]

    def require_room(self) -> None:
        free = shutil.disk_usage(self.root).free // 2**20
        if free < FREE_MIB:
            raise UserError(f"{self.root} has {free} MiB free, and a release needs {FREE_MIB}: free some space first.")

    def unpack(self, archive: str, folder: str) -> None:
        unpack(archive, folder)
        for path, below in self.project.links.items():
            self.link(folder, path, below)

    def link_target(self, path: str, below: str) -> str:
        """What a path of the release leads to; a path that ends with a slash is a folder."""
        return os.path.join(self.root, below, path.rstrip("/")) if below else os.path.join(self.root, "media")

    def make_parent(self, path: str, below: str) -> None:
        """Make the folder in which what the path leads to lies."""
        if below == "files":
            # Each process sees its slot's there, and nobody else any.
            return
        target = self.link_target(path, below)
        folder = target if path.endswith("/") else os.path.dirname(target)
        if not os.path.isdir(folder):
            owner = pwd.getpwnam(self.project.user)
            os.makedirs(folder, mode=0o700)
            os.chown(folder, owner.pw_uid, owner.pw_gid)

    def link(self, folder: str, path: str, below: str) -> None:
        """Let a path of the release lead to what outlives it."""
        link = os.path.join(folder, path.rstrip("/"))
        if os.path.isdir(link) and not names(link):
            shutil.rmtree(link)
        if os.path.lexists(link):
            should = "come from the inventory" if below == "files" else "be what the project writes and keeps"
            variable = {"data": "persistent_paths", "files": "files"}.get(below, "media_folder")
            raise UserError(
                f"{path} is in the repository, and should {should}: remove it there (git rm -r --cached), or from "
                f"application_{variable}."
            )
        os.makedirs(os.path.dirname(link), mode=0o755, exist_ok=True)
        os.symlink(self.link_target(path, below), link)

    def build(self, tools: Tools, release: str, request: Request) -> tuple[str, list[str]]:
        """Make the release's folder, except for what Django itself does; the digest of its packages, and warnings."""
        folder, requirements_file = self.path(release), self.project.requirements_file
        shutil.rmtree(folder, ignore_errors=True)
        self.unpack(request.archive, folder)
        for path, below in self.project.links.items():
            self.make_parent(path, below)
        if not os.path.isfile(kinds.path_in(folder, requirements_file)):
            raise UserError(
                f"The release has no {requirements_file}: commit it, or name another in application_requirements_file."
            )
        if kinds.kind(requirements_file) == "poetry":
            tools.equip("poetry", request.poetry_requirements)
        python = self.pythons.provide(tools)
        requirements, warnings = kinds.resolve(tools, folder, requirements_file, python, self.project.python_packages)
        venv = self.venvs.install(tools, requirements, python)
        require_commands(folder, venv, requirements_file, self.project.commands)
        os.symlink(venv, os.path.join(folder, ".venv"))
        # The processes may not write into their release.
        words = (f"{venv}/bin/python", "-m", "compileall", "-q", "-x", r"\.venv", folder)
        tools.log.require("A file of the release cannot be compiled by this host's Python", *words)
        with open(os.path.join(folder, ".complete"), "w") as file:
            file.write(f"RELEASE={release}\n")
        static = self.static_folder(release)
        os.makedirs(static, mode=0o755, exist_ok=True)
        owner = pwd.getpwnam(self.project.user)
        os.chown(static, owner.pw_uid, owner.pw_gid)
        return digest(requirements), warnings

    def give(self, release: str, user: str) -> None:
        """Make a user the owner of all that lies in a release, but of nothing that its links lead to."""
        owner = pwd.getpwnam(user)
        for _, folders, files, descriptor in os.fwalk(self.path(release)):
            for name in (".", *folders, *files):
                os.chown(name, owner.pw_uid, owner.pw_gid, dir_fd=descriptor, follow_symlinks=False)

    def finish(self, release: str, **manifest: Any) -> None:
        """Mark a release as finished, with what it is."""
        write_json(os.path.join(self.path(release), ".release.json"), {"release": release, **manifest})

    def discard(self, release: str) -> None:
        """Remove a release, and virtual environments that were never finished."""
        shutil.rmtree(self.path(release), ignore_errors=True)
        self.venvs.discard_incomplete()

    def prune(self, releases: set[str], environments: set[str]) -> list[str]:
        """Remove all but these releases and environment files, what they alone needed, and old logs."""
        gone = [name for name in names(self.folder) if name not in releases]
        for name in gone:
            self.discard(name)
        self.venvs.prune({os.path.basename(os.path.realpath(f"{self.path(name)}/.venv")) for name in releases})
        for folder in {os.path.dirname(path) for path in environments}:
            for path in (os.path.join(folder, name) for name in names(folder)):
                if path.endswith(".env") and path not in environments:
                    shutil.rmtree(files_of(path), ignore_errors=True)
                    os.unlink(path)
        logs = os.path.join(self.root, "logs")
        for name in names(logs)[:-LOGS_KEPT]:
            os.unlink(os.path.join(logs, name))
        # Of plans that were killed; one that is being made is younger.
        yesterday = time.time() - 86400
        for path in glob.glob(os.path.join(self.root, f"{PLAN_PREFIX}*")):
            if os.stat(path).st_mtime < yesterday:
                shutil.rmtree(path, ignore_errors=True)
        return gone
