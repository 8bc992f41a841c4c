"""Files that are read and replaced whole, so that a crash leaves the old or the new content."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import tarfile
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

Json = dict[str, Any]


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def read_json(path: str) -> Json | None:
    """The object in a JSON file, or None."""
    with contextlib.suppress(OSError, ValueError), open(path) as file:
        content = json.load(file)
        return content if isinstance(content, dict) else None
    return None


def write_json(path: str, content: Json) -> None:
    """Replace a file in one step: who reads it sees the old or the new content."""
    draft = f"{path}.new"
    # Never through a link that somebody else left there.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    with open(draft, "x") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def point(link: str, target: str) -> None:
    """Make `link` lead to `target` in one step."""
    draft = f"{link}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    os.symlink(target, draft)
    os.replace(draft, link)


def target(link: str) -> str | None:
    """The last part of what a link leads to, or None."""
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(link))
    return None


def names(folder: str) -> list[str]:
    """What lies in a folder, without hidden files; nothing where there is no folder."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return []


def files_of(environment: str) -> str:
    """The folder of the project's files that belong to an environment file."""
    return f"{environment.removesuffix('.env')}.files"


def unpack(archive: str, folder: str) -> None:
    """Unpack what the controller packed, for everybody to read and for root to change."""
    os.makedirs(folder, mode=0o755)
    try:
        with tarfile.open(archive) as source:
            for member in source.getmembers():
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            # Pythons before 3.10.12 have no filters; the archive is packed by the controller from its own checkout.
            if hasattr(tarfile, "tar_filter"):
                source.extraction_filter = tarfile.tar_filter
            source.extractall(folder)  # noqa: S202 - see above
    except tarfile.TarError as error:
        raise UserError(f"The archive {os.path.basename(archive)} cannot be read: {error}.") from error


def digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
