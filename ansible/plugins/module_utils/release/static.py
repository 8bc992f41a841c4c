"""Static files of all releases in one folder, for pages that browsers still hold."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator

from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project


class Static:
    def __init__(self, project: Project, builds: Builds) -> None:
        self.builds, self.static_folder = builds, project.static_folder
        self.shared = os.path.join(project.root, "static")

    def folder(self, release: str) -> str:
        return os.path.join(self.builds.path(release), self.static_folder)

    def files(self, release: str) -> Iterator[str]:
        """Paths of a release's static files, relative to their folder."""
        folder = self.folder(release)
        for where, _, files in os.walk(folder):
            for file in files:
                yield os.path.relpath(os.path.join(where, file), folder)

    def share(self, release: str) -> None:
        """Put the release's static files beside those of the others."""
        for path in self.files(release):
            source = os.path.join(self.folder(release), path)
            shared = os.path.join(self.shared, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samefile(source, shared):
                    continue
            os.makedirs(os.path.dirname(shared), mode=0o755, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{shared}.new")
            os.link(source, f"{shared}.new")
            os.replace(f"{shared}.new", shared)

    def touch(self, release: str) -> None:
        """Remember that pages with these files were handed out until now."""
        for path in self.files(release):
            with contextlib.suppress(FileNotFoundError):
                os.utime(os.path.join(self.shared, path))

    def prune(self, releases: Iterable[str], days: int) -> None:
        """Remove what is of none of these releases and older than some days."""
        kept = {path for release in releases for path in self.files(release)}
        oldest = time.time() - days * 86400
        for where, _, files in os.walk(self.shared):
            for file in files:
                path = os.path.join(where, file)
                if os.path.relpath(path, self.shared) not in kept and os.stat(path).st_mtime < oldest:
                    os.unlink(path)
