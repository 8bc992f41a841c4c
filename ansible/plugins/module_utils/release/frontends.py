"""Front ends that are served beside the application: one folder with all of them for each environment file, so that
both come and go together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from ansible_collections.slipway.host.plugins.module_utils.release.files import names, unpack
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project
from ansible_collections.slipway.host.plugins.module_utils.release.shared import SharedFiles


class Frontends:
    def __init__(self, project: Project) -> None:
        self.root = os.path.join(project.root, "frontends")
        self.shared = SharedFiles(os.path.join(project.root, "frontend_files"), self.folder)

    def folder(self, environment: str) -> str:
        """Where the front ends of an environment file lie, each in a folder with the name of its domain."""
        return os.path.join(self.root, os.path.basename(environment).removesuffix(".env"))

    def are_here(self, environment: str) -> bool:
        return os.path.isdir(self.folder(environment))

    def place(self, archive: str, environment: str) -> None:
        """Put the front ends of an environment file in their folder, which stays empty without an archive."""
        folder = self.folder(environment)
        if self.are_here(environment):
            return
        draft = f"{folder}.new"
        shutil.rmtree(draft, ignore_errors=True)
        if archive:
            unpack(archive, draft)
        else:
            os.makedirs(draft, mode=0o755)
        os.rename(draft, folder)

    def prune(self, environments: Iterable[str], days: int) -> None:
        """Remove those of all but these environment files. What browsers may still load stays for some days."""
        kept = {os.path.basename(self.folder(environment)) for environment in environments}
        for name in names(self.root):
            if name not in kept:
                shutil.rmtree(os.path.join(self.root, name))
        self.shared.prune(kept, days)
