"""What a grader says: a row, and the table of all."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

COLUMNS = ("Grader", "Version", "Of", "Must show", "Shows", "Holds")


@dataclass(frozen=True)
class Row:
    grader: str
    version: str
    target: str
    wanted: str
    seen: str
    holds: bool

    def cells(self) -> tuple[str, ...]:
        return self.grader, self.version, self.target, self.wanted, self.seen, "yes" if self.holds else "**no**"


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown, in columns that a terminal shows as well."""
    cells = [COLUMNS, *([escape(cell) for cell in row.cells()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]) + "\n"


def escape(cell: str) -> str:
    return html.escape(" ".join(cell.split()), quote=False).replace("|", "\\|")
