"""What `make history` prints: what was tried on all hosts, newest first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from ansible_collections.slipway.host.plugins.plugin_utils.output import Level, Paint, paint
from ansible_collections.slipway.host.plugins.plugin_utils.status.notes import missing_hosts, warning
from ansible_collections.slipway.host.plugins.plugin_utils.status.times import moment, stamp

ATTEMPTS = 20
SAME_ATTEMPT_SECONDS = 600
# One line of a host's own history; an older version wrote fewer keys.
Record = Mapping[str, Any]


class Attempt(TypedDict):
    kind: str | None
    release: str | None
    commit: str | None
    ref: str | None
    previous: str | None
    by: str | None
    started: str | None
    finished: str
    result: str | None
    step: str | None
    why: str | None
    migrations: list[str] | None
    seconds: float | None
    hosts: list[str]


class HistoryDocument(TypedDict):
    environment: str
    asked: str
    attempts: list[Attempt]
    unreachable: dict[str, str]
    failed: dict[str, str]


def new_attempt(record: Record, host: str) -> Attempt:
    return {
        "kind": record.get("kind"),
        "release": record.get("release"),
        "commit": record.get("commit"),
        "ref": record.get("ref"),
        "previous": record.get("previous"),
        "by": record.get("by"),
        "started": record.get("started"),
        "finished": record["finished"],
        "result": record.get("result"),
        "step": record.get("step"),
        "why": record.get("why"),
        "migrations": record.get("migrations"),
        "seconds": record.get("seconds"),
        "hosts": [host],
    }


def same_attempt(attempts: list[Attempt], record: Record, host: str) -> Attempt | None:
    """The attempt of other hosts that a record is of, too. None of `attempts` finished before it."""
    identity = [record.get(key) for key in ("kind", "release", "result", "by")]
    for attempt in reversed(attempts):
        apart = moment(attempt["finished"]) - moment(record["finished"])
        if apart.total_seconds() >= SAME_ATTEMPT_SECONDS:
            return None
        alike = identity == [attempt["kind"], attempt["release"], attempt["result"], attempt["by"]]
        if alike and host not in attempt["hosts"]:
            return attempt
    return None


def merge(histories: Mapping[str, list[Record]]) -> list[Attempt]:
    """Attempts of all hosts, newest first; one that several hosts share is one."""
    attempts: list[Attempt] = []
    finished = [(record, host) for host, records in histories.items() for record in records if record.get("finished")]
    for record, host in sorted(finished, key=lambda pair: str(pair[0]["finished"]), reverse=True):
        attempt = same_attempt(attempts, record, host)
        if attempt is None:
            attempts.append(new_attempt(record, host))
            continue
        attempt["hosts"].append(host)
        attempt["seconds"] = max(filter(None, (attempt["seconds"], record.get("seconds"))), default=None)
    return [{**attempt, "hosts": sorted(attempt["hosts"])} for attempt in attempts[:ATTEMPTS]]


def row(attempt: Attempt) -> dict[str, str]:
    release = attempt["release"] or "-"
    return {
        "finished (UTC)": stamp(attempt["finished"]),
        "kind": attempt["kind"] or "-",
        "release": f"{release} ({attempt['ref']})" if attempt["ref"] else release,
        "by": attempt["by"] or "-",
        "result": attempt["result"] or "-",
        "seconds": "-" if attempt["seconds"] is None else f"{attempt['seconds']:.0f}",
        "hosts": ", ".join(attempt["hosts"]),
    }


def explanation(attempt: Attempt, width: int) -> str:
    """Where and why it ended; also of a return, which is good by itself: what it returned from."""
    if not attempt["why"]:
        return ""
    text = ": ".join(filter(None, (attempt["step"], attempt["why"].strip().partition("\n")[0])))
    return "    " + textwrap.shorten(text, width - 4, placeholder=" ...")


def history_table(attempts: list[Attempt], width: int, paint: Paint) -> Iterator[str]:
    rows = [row(attempt) for attempt in attempts]
    if len({host for attempt in attempts for host in attempt["hosts"]}) == 1:
        for cells in rows:
            del cells["hosts"]
    widths = {head: max(len(head), *(len(cells[head]) for cells in rows)) for head in rows[0]}

    def padded(head: str, text: str, level: Level = "plain") -> str:
        gap = " " * (widths[head] - len(text))
        return gap + paint(text, level) if head == "seconds" else paint(text, level) + gap

    yield paint("  ".join(padded(head, head) for head in widths).rstrip(), "heading")
    yield paint("─" * (sum(widths.values()) + 2 * len(widths) - 2), "faint")
    for attempt, cells in zip(attempts, rows, strict=True):
        result: Level = "good" if attempt["result"] == "good" else "bad"
        texts = [padded(head, text, result if head == "result" else "plain") for head, text in cells.items()]
        yield "  ".join(texts).rstrip()
        if text := explanation(attempt, width):
            yield paint(text, "faint")


def history_lines(document: HistoryDocument, width: int, paint: Paint = paint) -> Iterator[str]:
    yield ""
    if document["attempts"]:
        yield from history_table(document["attempts"], width, paint)
    else:
        yield f"Nothing was released to {document['environment']} yet."
    yield ""
    for sentence in missing_hosts(document["unreachable"], document["failed"]):
        yield from warning(sentence, width, paint)
