"""What decides who may log in is brought back, unless a login proves that a change of it is good."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.action.access_guard import (
    candidates,
    not_root,
    refused,
    warning,
)
from ansible_collections.slipway.host.plugins.module_utils import access


class PlayedHost:
    """Folders in place of those of a host, with the commands that would have run there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sshd, self.sudoers = root / "sshd_config.d", root / "sudoers.d"
        for folder in (self.sshd, self.sudoers, root / "units"):
            folder.mkdir()
        (self.sshd / "00-slipway.conf").write_text("PermitRootLogin yes\n")
        self.commands: list[tuple[str, ...]] = []
        self.guard = access.Guard(str(root / "guard"), str(root / "units"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    def arm(self) -> None:
        self.guard.arm("program\n", ["root"], 55)

    def change(self) -> None:
        (self.sshd / "00-slipway.conf").write_text("PermitRootLogin no\n")
        (self.sudoers / "new").write_text("nobody\n")

    @property
    def is_as_before(self) -> bool:
        return (self.sshd / "00-slipway.conf").read_text() == "PermitRootLogin yes\n" and not os.listdir(self.sudoers)


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    found = PlayedHost(tmp_path)
    monkeypatch.setattr(access, "GUARDED", (str(found.sshd), str(found.sudoers)))
    monkeypatch.setattr(access, "run", found.run)
    monkeypatch.setattr(access, "has", lambda program: False)
    return found


def test_what_was_changed_is_brought_back_and_read_again(played: PlayedHost) -> None:
    os.chmod(played.sshd / "00-slipway.conf", 0o640)
    played.arm()
    played.change()
    os.chmod(played.sshd / "00-slipway.conf", 0o600)
    assert played.guard.is_changed()
    played.guard.restore()
    assert played.is_as_before
    assert (played.sshd / "00-slipway.conf").stat().st_mode & 0o777 == 0o640
    assert ("systemctl", "try-reload-or-restart", "ssh.service") in played.commands


def test_a_slow_run_is_told_that_it_was_too_late(played: PlayedHost) -> None:
    played.arm()
    assert played.guard.is_armed()
    played.change()
    played.guard.restore()
    assert not played.guard.is_armed()
    # It goes on changing things.
    played.change()
    played.guard.restore()
    assert played.is_as_before


def test_a_proven_change_stays(played: PlayedHost) -> None:
    played.arm()
    played.change()
    played.guard.disarm()
    played.guard.restore()
    assert not played.is_as_before


def test_the_first_unproven_snapshot_counts(played: PlayedHost) -> None:
    """A killed run has changed something that the next one must not take for proven."""
    played.arm()
    played.change()
    played.arm()
    played.guard.restore()
    assert played.is_as_before


def test_a_snapshot_of_long_ago_says_nothing(played: PlayedHost) -> None:
    played.arm()
    played.change()
    old = time.time() - access.LIFETIME_SECONDS - 1
    os.utime(played.guard.path, (old, old))
    played.guard.restore()
    assert not played.is_as_before


def test_without_a_change_there_is_nothing_to_prove(played: PlayedHost) -> None:
    played.arm()
    assert not played.guard.is_changed()
    played.guard.restore()
    assert played.guard.before() is None


def test_a_timer_that_does_not_start_stops_the_run_before_it_changes_anything(
    played: PlayedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, int("restart" in command), "", "no such unit")

    monkeypatch.setattr(access, "run", run)
    with pytest.raises(OSError, match="does not start: no such unit"):
        played.arm()
    assert played.guard.before() is None


ROOT_TODAY = {"ansible_ssh_user": "root"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ansible_user": "ada"}, ["ada"]),
        ({"ansible_user": "ada", **ROOT_TODAY}, ["ada"]),
        ({}, [""]),
        (ROOT_TODAY, ["", "ada", "bob"]),
    ],
)
def test_whoever_the_next_run_logs_in_as_proves_it(variables: dict[str, Any], expected: list[str]) -> None:
    assert candidates(variables, ["ada", "bob"]) == expected


def test_a_next_run_that_would_log_in_as_somebody_else_is_told_as_whom() -> None:
    assert "ansible_user: bob" in str(warning(ROOT_TODAY, "bob"))
    assert warning(ROOT_TODAY, "") == warning({"ansible_user": "ada"}, "ada") == {}


def test_a_refusal_names_who_was_refused_and_why() -> None:
    sentence = refused({"inventory_hostname": "web1"}, ["ada: Permission denied (publickey)."])
    assert "log in to web1 with a new connection and become root (ada: Permission denied (publickey).)" in sentence


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"rc": 0, "stdout": "Welcome\n0\n", "stderr": ""}, None),
        # It ends with the number of root, and is somebody else.
        ({"rc": 0, "stdout": "1000\n", "stderr": ""}, "logged in, and is user 1000 instead of root"),
        ({"rc": 1, "stdout": "", "stderr": "sudo: a password is required\n"}, "sudo: a password is required"),
        ({"rc": 255, "stdout": "", "stderr": ""}, "exit code 255"),
    ],
)
def test_only_root_proves_a_login(answer: dict[str, Any], expected: str | None) -> None:
    assert not_root(answer) == expected
