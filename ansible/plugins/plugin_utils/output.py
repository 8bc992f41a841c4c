"""What both callbacks print with: colours, the terminal's width, and why a task failed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ansible import constants as C
from ansible.utils.color import stringc

Level = Literal["plain", "good", "changed", "bad", "unreachable", "skipped", "faint", "heading"]
Paint = Callable[[str, Level], str]
Result = Mapping[str, Any]

COLOURS: dict[Level, str] = {
    "good": C.COLOR_OK,
    "changed": C.COLOR_CHANGED,
    "bad": C.COLOR_ERROR,
    "unreachable": C.COLOR_UNREACHABLE,
    "skipped": C.COLOR_SKIP,
    "faint": "dark gray",
    "heading": "cyan",
}
OUTPUT_LINES = 15
REASON_LENGTH = 300
TRACE = "Traceback (most recent call last)"


def paint(text: str, level: Level) -> str:
    """The text in the colour of its level, on a terminal only and not with NO_COLOR."""
    return str(stringc(text, COLOURS[level])) if level in COLOURS else text


def terminal_width() -> int:
    """Columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def last_lines(text: str | list[str], count: int) -> list[str]:
    lines = text if isinstance(text, list) else text.splitlines()
    return [str(line).rstrip() for line in lines if str(line).strip()][-count:]


def without_trace(text: str) -> str:
    """The text, with a trace reduced to its last line."""
    before, _, trace = text.partition(TRACE)
    return before + "".join(last_lines(trace, 1))


def full_message(result: Result) -> str:
    """What a failed result says, with all of a trace."""
    if "censored" in result:
        return "What it printed is hidden because the task carries a secret."
    said = str(result.get("msg") or result.get("reason") or "").strip().removeprefix("Task failed: ")
    outputs = (result.get(key) for key in ("stderr", "module_stderr", "stdout", "module_stdout"))
    wrote = str(next(filter(None, outputs), "")).strip()
    # Where a validation failed, the code has another name.
    if result.keys() & {"rc", "exit_status"} and wrote and wrote not in said:
        return "\n".join([said, wrote] if TRACE in wrote else [said, *last_lines(wrote, OUTPUT_LINES)])
    return said


def message(result: Result) -> str:
    """What a failed result says, in as few lines as explain it."""
    return without_trace(full_message(result)).strip()


def reason(result: Result) -> str:
    """What a failed result says on one line, for the end of a sentence."""
    return " ".join(message(result).split())[:REASON_LENGTH].rstrip(". ") or "no answer"
