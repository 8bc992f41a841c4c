"""Processes of this machine, found through /proc. One may end while it is looked at."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROC = Path("/proc")


def folders() -> Iterator[Path]:
    """The folder in /proc of each process."""
    return PROC.glob("[0-9]*")


def command_line(process: int) -> str:
    """Its words, or nothing when it has ended."""
    with contextlib.suppress(OSError):
        return (PROC / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def descendants(process: int) -> list[int]:
    """What a process started, and what that started, parents first; also where they lead sessions of their own."""
    found = []
    with contextlib.suppress(OSError):
        for child in map(int, (PROC / f"{process}/task/{process}/children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def end(sign: signal.Signals, find: Callable[[], list[int]], seconds: float) -> None:
    """Send a signal to the processes that `find` finds, and wait until it finds none."""
    for process in find():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, sign)
    deadline = time.monotonic() + seconds
    while find() and time.monotonic() < deadline:
        time.sleep(0.1)
