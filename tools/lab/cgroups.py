"""A cgroup for each host, where no systemd makes one."""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def enter(name: str) -> None:
    """Move this process into a cgroup of that name, in each hierarchy."""
    for entry in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = entry.split()
        if kind in ("cgroup", "cgroup2"):
            own = Path(where, name)
            with contextlib.suppress(OSError):
                own.mkdir(exist_ok=True)
                if kind == "cgroup" and where.endswith("cpuset"):
                    for setting in ("cpuset.cpus", "cpuset.mems"):
                        (own / setting).write_text(Path(where, setting).read_text())
                (own / "cgroup.procs").write_text("0")


def remove(name: str) -> None:
    """Remove the empty cgroups of that name, with all that lie in them."""
    for folder in (*ROOT.glob(name), *ROOT.glob(f"*/{name}")):
        for inner in sorted(folder.glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                inner.rmdir()
