"""What `make history` prints, from what the hosts wrote down."""

from __future__ import annotations

import datetime
import re
from typing import Any

from ansible_collections.slipway.host.plugins.plugin_utils.output import Level
from ansible_collections.slipway.host.plugins.plugin_utils.status.history import (
    HistoryDocument,
    Record,
    history_lines,
    merge,
)

ATTEMPT: dict[str, Any] = {
    "kind": "deploy",
    "release": "aa042e72175b",
    "commit": "aa042e72175b17db9cba15a5840e5c3cd7ff6a9a",
    "ref": "v1.4.0",
    "by": "anna@laptop",
    "result": "good",
    "finished": "2026-11-22T10:58:00+00:00",
    "seconds": 71.2,
}


def plain(text: str, level: Level) -> str:
    return text


def history(**histories: list[Record]) -> list[str]:
    document: HistoryDocument = {
        "environment": "x",
        "asked": ATTEMPT["finished"],
        "attempts": merge(histories),
        "unreachable": {},
        "failed": {},
    }
    return "\n".join(history_lines(document, 100, plain)).strip().splitlines()


def later(minutes: int, **changes: Any) -> Record:
    finished = datetime.datetime.fromisoformat(ATTEMPT["finished"]) + datetime.timedelta(minutes=minutes)
    return {**ATTEMPT, "finished": finished.isoformat(), **changes}


def test_an_attempt_is_one_line() -> None:
    assert history(web1=[ATTEMPT])[2] == "2026-11-22 10:58  deploy  aa042e72175b (v1.4.0)  anna@laptop  good         71"


def test_the_newest_attempt_comes_first() -> None:
    assert [line[:16] for line in history(web1=[ATTEMPT, later(5)])[2:]] == ["2026-11-22 11:03", "2026-11-22 10:58"]


def test_the_same_attempt_on_several_hosts_is_one_line() -> None:
    lines = history(web1=[ATTEMPT, later(60)], web2=[later(1), later(61, result="failed")])
    assert [re.findall(r"(\S+) +\d+  (.*)$", line)[0] for line in lines[2:]] == [
        ("failed", "web2"),
        ("good", "web1"),
        ("good", "web1, web2"),
    ]


def test_hosts_are_named_also_when_all_attempts_were_on_both() -> None:
    assert history(web1=[ATTEMPT], web2=[ATTEMPT])[2].endswith("web1, web2")


def test_an_attempt_that_was_not_good_says_where_and_why() -> None:
    lines = history(web1=[later(0, result="failed", step="build", why="`uv` failed.\nmuch more")])
    assert lines[3] == "    build: `uv` failed."


def test_old_records_with_little_in_them_are_shown() -> None:
    lines = history(web1=[{"release": "without a time"}, {"finished": "2026-11-22T12:00:00+00:00"}])
    assert lines[2:] == ["2026-11-22 12:00  -     -        -   -             -"]


def test_twenty_attempts_are_shown() -> None:
    assert len(history(web1=[later(minutes) for minutes in range(30)])) == 2 + 20


def test_no_history_is_a_sentence() -> None:
    assert history(web1=[]) == ["Nothing was released to x yet."]


def test_the_same_release_again_is_a_line_of_its_own() -> None:
    lines = history(web1=[ATTEMPT, later(5)], web2=[later(1), later(6)])
    assert [line.rpartition("  ")[2] for line in lines[2:]] == ["web1, web2", "web1, web2"]
    assert len(history(web1=[ATTEMPT], web2=[later(15)])) == 2 + 2
