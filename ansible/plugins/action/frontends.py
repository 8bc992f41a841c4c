"""Pack built front ends, on the controller, into one archive with a folder for each domain."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.inventory.sentences import NOT_BUILT, is_built
from ansible_collections.slipway.host.plugins.plugin_utils.archives import CACHE, is_packed


def files(frontends: Sequence[dict[str, str]]) -> Iterator[tuple[str, Path]]:
    """Each file of the front ends, by its name in the archive, in an order of its own."""
    for frontend in sorted(frontends, key=lambda each: each["domain"]):
        folder = Path(frontend["path"])
        if not is_built(folder):
            raise UserError(f"project_frontends names {folder}, {NOT_BUILT} Nothing was changed.")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield f"{frontend['domain']}/{path.relative_to(folder)}", path


def digest(frontends: Sequence[dict[str, str]]) -> str:
    """A fingerprint of names and contents."""
    found = hashlib.sha256()
    for name, path in files(frontends):
        found.update(f"{name}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def pack(cache: Path, frontends: Sequence[dict[str, str]]) -> dict[str, str]:
    """The archive and its digest; both empty where there is no front end."""
    if not frontends:
        return {"archive": "", "digest": ""}
    name = digest(frontends)
    archive = cache / "frontends" / f"{name}.tar.gz"
    if not is_packed(archive):
        draft = archive.with_suffix(f".{os.getpid()}")
        with tarfile.open(draft, "w:gz", compresslevel=6) as target:
            for member, path in files(frontends):
                about = tarfile.TarInfo(member)
                about.size = path.stat().st_size
                # Not the time of the build, which some tools set to the same one: nginx makes ETag of it and the size.
                about.mtime = int(os.path.getmtime(draft))
                with path.open("rb") as content:
                    target.addfile(about, content)
        draft.rename(archive)
    return {"archive": str(archive), "digest": name}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        try:
            return {**result, "changed": False, **pack(CACHE, self._task.args["frontends"])}
        except (UserError, OSError) as refusal:
            return {**result, "failed": True, "msg": str(refusal)}
