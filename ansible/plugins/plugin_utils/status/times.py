"""Moments as hosts write them, in a person's words."""

from __future__ import annotations

import datetime


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def stamp(text: str) -> str:
    return moment(text).astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")


def duration(since: str, now: datetime.datetime) -> str:
    seconds = max(int((now - moment(since)).total_seconds()), 0)
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(since: str, now: datetime.datetime) -> str:
    return f"{duration(since, now)} ago"
