"""Archives that the controller packs for hosts, each once and named after its content."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = Path(__file__).resolve().parents[3] / ".cache"
KEPT = 20


def is_packed(archive: Path) -> bool:
    """Whether it is there already; makes room for it, where those of long ago go."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.exists():
        archive.touch()
        return True
    for old in sorted(archive.parent.glob("*.tar.gz"), key=os.path.getmtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return False
