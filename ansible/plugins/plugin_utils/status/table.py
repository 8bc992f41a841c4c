"""Hosts side by side: a row for each question, a column for each host, as many columns as fit."""

from __future__ import annotations

import datetime
import functools
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.slipway.host.plugins.module_utils.status import HostStatus
from ansible_collections.slipway.host.plugins.plugin_utils.output import Level, Paint
from ansible_collections.slipway.host.plugins.plugin_utils.status.cells import ROWS, Cell, Row

LABEL = 13
GAP = 2
WIDEST = 32


def joined(cell: Cell) -> Cell:
    """Short plain words share a line."""
    plain = [text for text, level in cell if level == "plain"]
    others = [line for line in cell if line[1] != "plain"]
    return [(", ".join(plain), "plain"), *others] if plain else others


def marked(text: str, level: Level, width: int) -> list[str]:
    """The lines of a text, none wider than `width`. What needs a look has an exclamation mark, also without colours."""
    if level != "bad":
        return textwrap.wrap(text, width, break_on_hyphens=False)
    return textwrap.wrap(f"! {text}", width, break_on_hyphens=False, subsequent_indent="  ")


@dataclass(frozen=True)
class Column:
    """One host: its lines for each row that it has something to say in."""

    name: str
    has_processes: bool
    lines: dict[str, Cell]

    def row(self, row: Row) -> Cell:
        return self.lines.get(row.label) or [("-", "faint")]

    @functools.cached_property
    def width(self) -> int:
        texts = [text for row in ROWS for text, _ in self.row(row)]
        return max(map(len, [self.name, *texts]))


def column(name: str, host: HostStatus, now: datetime.datetime, width: int) -> Column:
    lines: dict[str, Cell] = {}
    for row in ROWS:
        lines[row.label] = [
            (part, level) for text, level in joined(row.cell(host, now)) for part in marked(text, level, width)
        ]
    return Column(name, bool(host["processes"]), lines)


def table_width(columns: list[Column]) -> int:
    return LABEL + sum(column.width + GAP for column in columns) - GAP


def groups_that_fit(columns: list[Column], width: int) -> Iterator[list[Column]]:
    group: list[Column] = []
    for column in columns:
        if group and table_width([*group, column]) > width:
            yield group
            group = []
        group.append(column)
    if group:
        yield group


def is_shown(row: Row, group: list[Column]) -> bool:
    expected = not row.optional and any(column.has_processes for column in group)
    return expected or any(column.lines[row.label] for column in group)


def side_by_side(label: str, group: list[Column], parts: list[tuple[str, Level]], paint: Paint) -> str:
    padded = [
        paint(text, level) + " " * (column.width - len(text))
        for column, (text, level) in zip(group, parts, strict=True)
    ]
    return f"{label:{LABEL}}{(' ' * GAP).join(padded)}".rstrip()


def row_lines(row: Row, group: list[Column], paint: Paint) -> Iterator[str]:
    for number in range(max(len(column.row(row)) for column in group)):
        parts = [(column.row(row)[number:] or [("", "plain")])[0] for column in group]
        yield side_by_side("" if number else row.label, group, parts, paint)


def table(hosts: Mapping[str, HostStatus], now: datetime.datetime, width: int, paint: Paint) -> Iterator[str]:
    """The lines of the table, with an empty one after each group of hosts."""
    widest = width - LABEL if len(hosts) == 1 else min(WIDEST, width - LABEL)
    columns = [column(name, host, now, widest) for name, host in hosts.items()]
    for group in groups_that_fit(columns, width):
        yield side_by_side("", group, [(column.name, "heading") for column in group], paint)
        yield paint("─" * table_width(group), "faint")
        for row in ROWS:
            if is_shown(row, group):
                yield from row_lines(row, group, paint)
        yield ""
