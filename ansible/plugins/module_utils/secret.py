"""Secrets of an inventory, each in a file of its own."""

from __future__ import annotations

import os
import secrets
import string
import tempfile
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

LENGTH = 50
ALPHABET = string.ascii_letters + string.digits


def secret(folder: Path, name: str, value: str | None = None) -> str:
    """Read the secret `name` in `folder`; when there is none, keep `value` as it first, or generate one."""
    path = folder / name
    if not path.exists():
        if name.endswith("_url") and not value:
            raise UserError(
                f"{path} is missing, and a URL cannot be generated: put the URL into {path}, or copy the file from "
                "the machine where the inventory was written."
            )
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as draft:
            draft.write(value or "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))
        # Runs that start at once race here: the first link wins, and all of them read that secret.
        try:
            os.link(draft.name, path)
        except FileExistsError:
            pass
        except OSError:
            # A folder that VirtualBox shares has no links.
            os.rename(draft.name, path)
        Path(draft.name).unlink(missing_ok=True)
    return path.read_text().strip()
