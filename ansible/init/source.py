"""Where a project comes from: a checkout, or a copy of a repository."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.git import git, reason, unattended, without_login

from init.code import SKIPPED, sources


@dataclass(frozen=True)
class Source:
    """The root of a source, the folder of manage.py in it, and the address that it was fetched from, if it was."""

    root: Path
    folder: Path
    repository: str | None

    @property
    def inner(self) -> str:
        """The folder relative to the root; nothing where they are the same."""
        path = self.folder.relative_to(self.root)
        return "" if path == Path() else str(path)


@contextlib.contextmanager
def open_source(address: str, folder: str | None) -> Iterator[Source]:
    """The project at a path or at the address of a repository."""
    if not re.match(r"[\w+.-]+://|[\w.-]+@[\w.-]+:", address):
        path = Path(address).expanduser().resolve()
        yield Source(root_of(path), path / find_folder(path, folder), None)
        return
    # An address of SSH begins with a user, which is no secret.
    if re.match(r"https?://.*@|[\w+.-]+://[^/]*:[^/]*@", address):
        raise UserError(
            "SOURCE has a login in it, which would be committed: leave it to git's credential helper, or give an "
            "address of SSH, such as SOURCE=git@git.example:shop.git."
        )
    with tempfile.TemporaryDirectory() as scratch:
        done = git(scratch, "clone", "--quiet", "--depth=1", address, "clone", env=unattended())
        if done.returncode:
            raise UserError(f"{without_login(address)} cannot be fetched: {reason(done)}.")
        root = Path(scratch, "clone")
        yield Source(root, root / find_folder(root, folder), address)


def root_of(folder: Path) -> Path:
    """The root of the checkout in which a folder lies."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: give another SOURCE=... (--source).")
    done = git(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        raise UserError(f"{folder} is no git checkout, and a release is a commit: run `git init` there and commit.")
    return Path(done.stdout.strip())


def find_folder(source: Path, given: str | None) -> Path:
    """Where manage.py is, relative to the source."""
    if given is not None:
        if not (source / given / "manage.py").is_file():
            raise UserError(f"There is no manage.py in {source / given}: give its folder with FOLDER=... (--folder).")
        return Path(given)
    every = [path for depth in ("", "*/", "*/*/") for path in sorted(source.glob(f"{depth}manage.py"))]
    found = [path.parent.relative_to(source) for path in every]
    found = [path for path in found if not set(path.parts) & SKIPPED]
    if not found:
        deep = [path.parent.relative_to(source) for path in sources(source) if path.name == "manage.py"]
        if deep:
            raise UserError(
                f"There is no manage.py within three levels of {source}: give its folder with FOLDER={deep[0]}."
            )
        raise UserError(f"There is no manage.py in {source}, so it is no Django project: give another SOURCE=....")
    if len(found) > 1 and found[0].parts:
        names = ", ".join(map(str, found))
        raise UserError(f"There are several projects in {source} ({names}): name one with FOLDER=... (--folder).")
    return found[0]


def uncommitted(source: Source, needed: Iterable[Path]) -> str | None:
    """A note about what a release needs and the last commit does not have, or None."""
    if source.repository:
        return None
    if git(source.root, "rev-parse", "--verify", "--quiet", "HEAD").returncode:
        return "A release is a commit, and the checkout has none: commit it first."
    committed = set(git(source.root, "ls-tree", "-r", "-z", "--name-only", "HEAD").stdout.split("\0"))
    lacking = sorted({os.path.relpath(path, source.root) for path in needed} - committed)
    if not lacking:
        return None
    return f"A release is a commit, and the last one has no {', '.join(lacking)}: commit that first."
