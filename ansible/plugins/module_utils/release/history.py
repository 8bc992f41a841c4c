"""What a host remembers of its releases: what was tried, and what ran."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.release.files import Json

# What two activations must share to be the same.
IDENTITY = ("release", "environment")


def same(one: Json, other: Json) -> bool:
    return all(one.get(key) == other.get(key) for key in IDENTITY)


class History:
    """One line of JSON for each finished attempt; the file is only ever appended to."""

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, "history.jsonl")

    def read(self) -> list[Json]:
        """All records, first first. A line that a crash cut off or damaged is none."""
        records = []
        with contextlib.suppress(OSError), open(self.path, errors="replace") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    records.append(json.loads(line))
        return [record for record in records if isinstance(record, dict)]

    def append(self, **record: Any) -> None:
        # Begins a line of its own, whatever a crash left at the end of the file.
        line = json.dumps(record) + "\n"
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as before:
            if not before.read().endswith(b"\n"):
                line = "\n" + line
        # What failed is told word for word, which is for root alone.
        with open(os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def good(self) -> list[Json]:
        """The records of what was found healthy, first first."""
        return [record for record in self.read() if record.get("result") == "good"]

    def activations(self) -> list[Json]:
        """Those that led to the present one, last last; what was rolled back is not among them."""
        activations: list[Json] = []
        for record in self.good():
            if record.get("kind") in ("rollback", "return"):
                matches = [index for index, earlier in enumerate(activations) if same(earlier, record)]
                activations = activations[: matches[-1]] if matches else activations
            elif activations and same(activations[-1], record):
                activations.pop()
            activations.append(record)
        return activations

    def latest(self) -> Json:
        """The latest activation; empty when nothing ran yet."""
        return (self.activations() or [{}])[-1]
