"""What a person is told instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """A sentence for a person: what is wrong, where it is set, what to do instead.

    `journal` holds the last lines that a failing process wrote, if one failed.
    """

    def __init__(self, message: str, journal: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.journal = list(journal)
