"""A lock names the process that owns it, so that anybody on the same machine can see when that is dead."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release import owner


def token(pid: int) -> str:
    return f"{owner.machine()} {pid} {owner.started(pid)}"


@pytest.fixture(params=["Linux", "macOS"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no /proc."""
    if request.param == "macOS":
        monkeypatch.setattr(owner, "PROC", Path("/no/such/folder"))


def test_the_owner_is_the_process_behind_the_tasks() -> None:
    assert owner.owner()["token"] == token(os.getppid())


def test_the_owner_is_named_for_people() -> None:
    person, _, machine = owner.owner()["who"].partition("@")
    assert person
    assert machine


def test_an_owner_that_lives_is_not_dead() -> None:
    assert not owner.is_dead(token(os.getpid()))


def test_an_owner_that_ended_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    given = token(process.pid)
    assert not owner.is_dead(given)
    process.communicate(b"\n")
    assert owner.is_dead(given)


def test_a_later_process_with_the_same_number_is_another_one() -> None:
    assert owner.is_dead(f"{owner.machine()} {os.getpid()} 1")


def test_nobody_knows_whether_an_owner_on_another_machine_is_dead() -> None:
    assert not owner.is_dead("elsewhere 1 1")
