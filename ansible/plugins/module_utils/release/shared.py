"""Files of all releases in one folder, for pages that browsers still hold."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator


class SharedFiles:
    """Those that lie in `folder(name)` of each build, by hard links in the folder `shared` too."""

    def __init__(self, shared: str, folder: Callable[[str], str]) -> None:
        self.shared, self.folder = shared, folder

    def files(self, name: str) -> Iterator[str]:
        """Paths of a build's files, relative to their folder."""
        folder = self.folder(name)
        for where, _, files in os.walk(folder):
            for file in files:
                yield os.path.relpath(os.path.join(where, file), folder)

    def share(self, name: str) -> None:
        """Put the build's files beside those of the others."""
        for path in self.files(name):
            source = os.path.join(self.folder(name), path)
            shared = os.path.join(self.shared, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samefile(source, shared):
                    continue
            os.makedirs(os.path.dirname(shared), mode=0o755, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{shared}.new")
            os.link(source, f"{shared}.new")
            os.replace(f"{shared}.new", shared)

    def touch(self, name: str) -> None:
        """Remember that pages with these files were handed out until now."""
        for path in self.files(name):
            with contextlib.suppress(FileNotFoundError):
                os.utime(os.path.join(self.shared, path))

    def prune(self, names: Iterable[str], days: int) -> None:
        """Remove what is of none of these builds and older than some days."""
        kept = {path for name in names for path in self.files(name)}
        oldest = time.time() - days * 86400
        for where, _, files in os.walk(self.shared):
            for file in files:
                path = os.path.join(where, file)
                if os.path.relpath(path, self.shared) not in kept and os.stat(path).st_mtime < oldest:
                    os.unlink(path)
