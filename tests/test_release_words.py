"""What a release that does not serve said last is what a person reads first."""

from __future__ import annotations

import json
import subprocess

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.probe import Probe

TRACE = [
    "Traceback (most recent call last):",
    '  File "/srv/shop/current/release/config/wsgi.py", line 15, in connect',
    '    {}["SEARCH_ENGINE"]',
    "    ~~^^^^^^^^^^^^^^^^^",
    "KeyError: 'SEARCH_ENGINE'",
]
ENDED = ["Worker exiting", "Shutting down: Master", "Reason: Worker failed to boot."]
EVENT = json.dumps({"event": "Exception in worker process", "exception": "\n".join(TRACE)})


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*TRACE, *ENDED], "KeyError: 'SEARCH_ENGINE'"),
        # Of a long trace, the beginning is cut off.
        ([*TRACE[2:], *ENDED], "KeyError: 'SEARCH_ENGINE'"),
        ([EVENT, '{"event": "Shutting down: Master"}'], "KeyError: 'SEARCH_ENGINE'"),
        (
            ["Traceback (most recent call last):", "  File x", "django.core.exceptions.Improper"],
            "django.core.exceptions.I",
        ),
        (["Booting", "Error: the licence has ended.", ""], "Error: the licence has ended"),
        (["[1, 2]", "42"], "42"),
        ([], "it said nothing"),
    ],
)
def test_the_last_words_are_the_exception(lines: list[str], words: str) -> None:
    assert systemd.last_words(lines).startswith(words)
    assert systemd.exception(ENDED) == ""


def test_a_release_that_ended_at_once_says_why() -> None:
    """It once said that it had timed out, and showed the end of its log."""
    told = Probe("shop.example", "/health/", 60).unready([*TRACE, *ENDED], "")
    assert str(told) == "It ended before it was ready at /health/: KeyError: 'SEARCH_ENGINE'."


def test_a_release_that_is_too_slow_says_what_it_answered_and_logged() -> None:
    probe = Probe("shop.example", "/health/", 60)
    assert str(probe.unready([], "timed out")) == "It was not ready within 60 s at /health/: timed out."
    assert str(probe.unready(TRACE, "503 no")) == (
        "It was not ready within 60 s at /health/: 503 no. It logged: KeyError: 'SEARCH_ENGINE'."
    )


def test_what_systemd_itself_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        status = int(command[:2] == ("systemctl", "start"))
        return subprocess.CompletedProcess(command, status, "", "Unit shop-web@blue.service is masked.\n" * status)

    monkeypatch.setattr(systemd, "run", run)
    with pytest.raises(UserError, match=r"^shop-web@blue\.service failed to start: Unit .* is masked\.$"):
        systemd.start("shop-web@blue.service")
