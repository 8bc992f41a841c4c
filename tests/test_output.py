"""How a failed result is told, by each of the callbacks."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.host.plugins.plugin_utils.output import Result, reason

TRACE = "Traceback (most recent call last):\n  File x, line 1\nValueError: no such port\n"


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"msg": "Task failed: The clock is wrong."}, "The clock is wrong"),
        ({"msg": "ssh: no\n  route"}, "ssh: no route"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "no such table"}, "non-zero return code no such table"),
        ({"msg": "MODULE FAILURE", "rc": 1, "module_stderr": TRACE}, "MODULE FAILURE ValueError: no such port"),
        ({"censored": "hidden"}, "What it printed is hidden because the task carries a secret"),
        ({}, "no answer"),
    ],
)
def test_why_a_task_failed_ends_a_sentence(result: Result, sentence: str) -> None:
    assert reason(result) == sentence


def test_a_long_reason_is_cut() -> None:
    assert len(reason({"msg": "word " * 200})) <= 300
