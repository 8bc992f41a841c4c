"""Commands that start at set times: the timers of one slot only, and what they started ends in peace."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.modules import status
from release_host import PROCESSES, PlayedHost

WITH_TIMER: dict[str, Any] = {
    "processes": [*PROCESSES, "nightly"],
    "kinds": {**{name: name for name in PROCESSES}, "nightly": "timer"},
}
OLD_TIMER, NEW_TIMER = "shop-nightly@blue.timer", "shop-nightly@green.timer"
OLD_RUN = "shop-nightly@blue.service"


@pytest.fixture
def ready(shop: PlayedHost) -> PlayedHost:
    """OLD serves in blue with a timer, whose command runs, and NEW is built in green."""
    for end in ("service", "timer"):
        (shop.root / f"units/shop-nightly@.{end}").write_text("nightly")
    shop.serve("blue")
    shop.systemd.active.update({OLD_TIMER, OLD_RUN})
    shop.is_tried()
    return shop


def test_timers_of_a_new_release_replace_those_of_the_old_one(ready: PlayedHost) -> None:
    ready.take("switch", WITH_TIMER)
    calls = ready.systemd.calls
    assert calls.index(("stop", OLD_TIMER)) < calls.index(("start", NEW_TIMER))
    # What runs is told to stop with the old slot alone, once the new one is good.
    stopped = [index for index, (verb, *units) in enumerate(calls) if verb == "stop" and OLD_RUN in units]
    assert len(stopped) == 1
    assert stopped[0] > calls.index(("start", NEW_TIMER))
    assert ready.runs("green") == {*PROCESSES, "nightly"}
    # Only the timer starts it.
    assert "shop-nightly@green.service" not in ready.systemd.active
    # How long a timer runs shows nothing.
    ready.systemd.seconds[NEW_TIMER] = 0
    ready.take("watch", {**WITH_TIMER, "watch_seconds": 20})


def test_timers_come_back_with_the_release_that_goes_on(ready: PlayedHost, unhealthy: set[str]) -> None:
    ready.systemd.failing.add(NEW_TIMER)
    with pytest.raises(UserError, match=r"shop-nightly@green\.timer failed to start"):
        ready.take("switch", WITH_TIMER)
    assert (ready.serving, ready.runs("blue"), ready.runs("green")) == ("OLD", {*PROCESSES, "nightly"}, set())


def test_a_command_that_runs_is_no_reason_to_release_again(ready: PlayedHost) -> None:
    ready.point("blue", "OLD")
    (ready.root / "slots/blue/definitions").write_text(ready.parts(**WITH_TIMER).slots.definitions())
    ready.parts().attempt.drop()
    ready.parts().lease.drop()
    assert ready.take("begin", WITH_TIMER, kind="converge", release="OLD")["needed"] is False
    # A host that leads no more runs none.
    elsewhere = {**WITH_TIMER, "processes": PROCESSES}
    assert ready.take("begin", elsewhere, kind="converge", release="OLD")["needed"] is True


@pytest.mark.parametrize(("last", "expected"), [("inactive", "active"), ("activating", "active"), ("failed", "failed")])
def test_status_tells_of_a_timer_whose_command_failed(
    ready: PlayedHost, monkeypatch: pytest.MonkeyPatch, last: str, expected: str
) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        state = "active" if command[2].endswith(".timer") else last
        return subprocess.CompletedProcess(command, 0, f"LoadState=loaded\nActiveState={state}\n", "")

    host = status.Host(ready.parts(**WITH_TIMER).project)
    monkeypatch.setattr(systemd, "run", run)
    assert host.process("nightly", "blue")["state"] == expected
