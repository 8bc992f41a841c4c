"""Who changes the releases of a host now, and what is being tried."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now, read_json, write_json

# A lock whose owner has not been heard of for this long is nobody's. Longer than any step of a deploy may take
# on another host, and than most hooks.
LEASE_SECONDS = 1800


class Lease:
    """Who may change the releases of a host. It belongs to a run of Ansible, and ends when nothing renews it."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, "lock.json")

    def holder(self) -> Json | None:
        """Who has it: `token`, `who`, `what`, `since`; None when nobody does."""
        try:
            age = time.time() - os.stat(self.path).st_mtime
        except OSError:
            return None
        return read_json(self.path) if age < LEASE_SECONDS else None

    def take(self, token: str, who: str, what: str) -> None:
        write_json(self.path, {"token": token, "who": who, "what": what, "since": now()})

    def belongs_to(self, token: str) -> bool:
        return (read_json(self.path) or {}).get("token") == token

    def require(self, token: str) -> None:
        """Renew it, or refuse when it is not ours any more."""
        if not self.belongs_to(token):
            holder = self.holder()
            now_has = f" {holder['who']} has it now, for a {holder['what']}." if holder else ""
            raise UserError(f"The lock was taken away from this run, so it stops here.{now_has}")
        os.utime(self.path)

    def drop(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class Attempt:
    """What is being tried now. A file that outlives its lease tells of a run that was killed."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, "attempt.json")

    def read(self) -> Json | None:
        return read_json(self.path)

    def write(self, content: Json) -> None:
        write_json(self.path, content)

    def update(self, **changes: Any) -> None:
        self.write({**(self.read() or {}), **changes})

    def drop(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
