"""Who owns a lock: the run of Ansible behind it, so that anybody on its machine can see when it is dead."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
from pathlib import Path

PROC = Path("/proc")


def started(pid: int | str) -> str | None:
    """What tells a process from a later one with its number; None when there is none."""
    if PROC.is_dir():
        with contextlib.suppress(OSError, IndexError):
            return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
        return None
    # macOS, where a live run must not be taken for a dead one either.
    answer = subprocess.run(["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "_".join(answer.stdout.split()) or None


def machine() -> str:
    """This machine since its start, as far as its processes see each other."""
    with contextlib.suppress(OSError):
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def owner() -> dict[str, str]:
    """Who runs this play. Tasks run in children of the one process that lives as long as the play does."""
    pid = os.getppid()
    person = os.environ.get("SUDO_USER") or getpass.getuser()
    return {"token": f"{machine()} {pid} {started(pid)}", "who": f"{person}@{socket.gethostname()}"}


def is_dead(token: str) -> bool:
    """Whether the play behind a token ran on this machine and is gone."""
    where, pid, since = token.rsplit(" ", 2)
    return where == machine() and started(pid) != since
