"""The table in docs/security.md."""

from __future__ import annotations

import datetime
from pathlib import Path

from grade.row import Row, table
from grade.target import Target

PAGE = Path(__file__).parents[2] / "docs/security.md"
BEGIN, END = "<!-- make grade SAVE=yes: begin -->\n", "<!-- make grade SAVE=yes: end -->\n"


def save(rows: list[Row], hosts: list[Target]) -> None:
    """Put the table between the marks, with the day and the systems that were graded."""
    systems = ", ".join(f"{target.name}: {' '.join(target.system)}" for target in hosts)
    head = f"Seen on {datetime.datetime.now(datetime.timezone.utc).date().isoformat()} ({systems}).\n\n"
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + head + table(rows) + END + after)
