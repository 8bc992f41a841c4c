"""What a source has and `git archive` leaves out: submodules, what export-ignore names, and what git-lfs keeps."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.git import blob, git

LINK, SUBMODULE = "120000", "160000"
POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
POINTER_SIZE = 1024


def collect(target: tarfile.TarFile, folder: Path, tree: str, paths: list[str], below: str = "") -> bool:
    """Put all that a tree has in some paths into a tar; whether it has them."""
    with tempfile.TemporaryDirectory() as scratch:
        words = ("--format=tar", f"--prefix={below}", f"--output={scratch}/tar")
        if git(folder, "archive", *words, tree, "--", *paths).returncode:
            return False
        with tarfile.open(f"{scratch}/tar") as source:
            for member in source.getmembers():
                target.addfile(member, source.extractfile(member) if member.isfile() else None)
    present = set(target.getnames())
    listed = git(folder, "ls-tree", "-r", "-z", tree, "--", *(path for path in paths if path != ".")).stdout
    for entry in filter(None, listed.split("\0")):
        about, _, name = entry.partition("\t")
        mode, _, digest = about.split()
        if mode == SUBMODULE:
            add_submodule(target, folder, name, digest, below)
        elif below + name not in present:
            add_file(target, below + name, mode, blob(folder, digest))
    return True


def add_file(target: tarfile.TarFile, name: str, mode: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.mode = int(mode[-3:], 8)
    if mode == LINK:
        member.type, member.linkname = tarfile.SYMTYPE, content.decode()
        target.addfile(member)
    else:
        member.size = len(content)
        target.addfile(member, io.BytesIO(content))


def add_submodule(target: tarfile.TarFile, folder: Path, name: str, commit: str, below: str) -> None:
    """Add a submodule as far as it is checked out; only then its commit is known."""
    checkout = folder / name
    is_here = git(checkout, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0
    if not (is_here and collect(target, checkout, commit, ["."], f"{below}{name}/")):
        raise UserError(
            f"{below}{name} is a submodule, and its commit {commit[:12]} is not here: run "
            "`git submodule update --init --recursive` in the checkout that application_source_path names. "
            "A release from application_source_repository has no submodules."
        )


def require_committed_submodules(checkout: Path, paths: list[str]) -> None:
    """Refuse what a release of an uncommitted tree would not have, since of a submodule it has a commit."""
    for line in git(checkout, "status", "--porcelain=v2", "--", *paths).stdout.splitlines():
        words = line.split(" ", 8)
        if words[0] == "1" and words[2].startswith("S") and not words[2].endswith(".."):
            raise UserError(f"The submodule {words[8]} has changes that are not committed: commit them there.")


def leading_out(packed: tarfile.TarFile) -> Iterator[str]:
    """A sentence about each link of a packed project to what is not in it, and so not in a release."""
    for member in packed:
        if member.issym():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
            if f"{target}/".startswith(("/", "../")):
                yield (
                    f"{member.name} is a link to {member.linkname}, which lies outside of the project, so a release "
                    "has the link alone: put a copy in its place, unless each host has what it leads to."
                )


def content(source: tarfile.TarFile, member: tarfile.TarInfo, store: Path | None) -> IO[bytes] | None:
    """What a file of a source holds; of git-lfs, which leaves a pointer in its place, what the pointer names."""
    file = source.extractfile(member)
    if not file or member.size > POINTER_SIZE:
        return file
    held = file.read()
    if not (pointer := POINTER.match(held)):
        return io.BytesIO(held)
    digest = pointer[1].decode()
    kept = store / digest[:2] / digest[2:4] / digest if store else None
    if not kept or not kept.is_file():
        raise UserError(
            f"{member.name} is only a pointer of git-lfs: run `git lfs pull` in the checkout that "
            "application_source_path names. A release from application_source_repository has no such files."
        )
    return io.BytesIO(kept.read_bytes())
