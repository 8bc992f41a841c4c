"""The module `unit` decides from times and states alone what a service needs."""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.modules import unit

File = Callable[[str], str]


def stamp(moment: float) -> str:
    """A time as systemd writes it."""
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")


def now() -> str:
    """A time that lies between what happened before the call and what happens after it."""
    time.sleep(0.02)
    moment = stamp(time.time())
    time.sleep(0.02)
    return moment


LONG_AGO, LATER = stamp(time.time() - 3600), stamp(time.time() + 3600)
RUNNING = {
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "ReloadResult": "success",
    "InactiveExitTimestamp": LATER,
    "StateChangeTimestamp": LATER,
}
STARTED_LONG_AGO = {"InactiveExitTimestamp": LONG_AGO}
RELOADED_LONG_AGO = {"StateChangeTimestamp": LONG_AGO}


@pytest.fixture
def file(tmp_path: Path) -> File:
    """A function that makes a file and returns its path."""

    def make(name: str) -> str:
        path = tmp_path / name
        path.touch()
        return str(path)

    return make


def verbs(
    state: str = "started", restart_for: Iterable[str] = (), reload_for: Iterable[str] = (), **properties: str
) -> list[str]:
    return unit.needed({**RUNNING, **properties}, state, restart_for, reload_for)


def test_a_running_unit_with_older_files_is_left_alone(file: File) -> None:
    assert verbs(restart_for=[file("a")], reload_for=[file("b")]) == []


def test_a_file_newer_than_the_start_restarts(file: File) -> None:
    assert verbs(restart_for=[file("a")], **STARTED_LONG_AGO) == ["daemon-reload", "restart"]


def test_a_file_newer_than_the_last_reload_reloads(file: File) -> None:
    assert verbs(reload_for=[file("a")], **RELOADED_LONG_AGO) == ["daemon-reload", "reload"]


def test_a_reload_that_failed_is_tried_again(file: File) -> None:
    older = [file("a")]
    assert verbs(reload_for=older, ReloadResult="exit-code") == ["daemon-reload", "reload"]
    assert verbs(reload_for=older, ReloadResult="") == []


def test_a_unit_that_is_never_reloaded_for_a_file_is_left_alone() -> None:
    """Somebody else's reload failed."""
    assert verbs(ReloadResult="exit-code") == []


def test_a_restart_makes_a_reload_superfluous(file: File) -> None:
    old = {**STARTED_LONG_AGO, **RELOADED_LONG_AGO}
    assert verbs(restart_for=[file("a")], reload_for=[file("b")], **old) == ["daemon-reload", "restart"]


def test_globs_find_files_and_missing_ones_do_not_matter(file: File, tmp_path: Path) -> None:
    file("one.pem")
    assert verbs(reload_for=[f"{tmp_path}/*.pem", f"{tmp_path}/none"], **RELOADED_LONG_AGO)
    assert not verbs(reload_for=[f"{tmp_path}/none", f"{tmp_path}/none/*.pem"], **RELOADED_LONG_AGO)


def test_a_file_that_was_removed_from_a_glob_is_noticed(file: File, tmp_path: Path) -> None:
    removed = Path(file("one.conf"))
    file("two.conf")
    reloaded = now()
    removed.unlink()
    assert verbs(reload_for=[f"{tmp_path}/*.conf"], StateChangeTimestamp=reloaded) == ["daemon-reload", "reload"]


def test_a_glob_whose_folder_is_a_glob_too_notices_a_removed_file(tmp_path: Path) -> None:
    removed = tmp_path / "17/main.conf"
    removed.parent.mkdir()
    removed.touch()
    started = now()
    removed.unlink()
    assert verbs(restart_for=[f"{tmp_path}/*/*.conf"], InactiveExitTimestamp=started) == ["daemon-reload", "restart"]


def test_what_happens_beside_a_file_does_not_matter(file: File) -> None:
    watched = file("one.conf")
    reloaded = now()
    file("two.conf")
    assert verbs(reload_for=[watched], StateChangeTimestamp=reloaded) == []


def test_an_older_file_that_was_restored_with_its_time_is_noticed(file: File, tmp_path: Path) -> None:
    path, backup = file("one.conf"), tmp_path / "backup"
    os.utime(path, (1000, 1000))
    shutil.copy2(path, backup)
    reloaded = now()
    shutil.copy2(backup, path)
    assert verbs(reload_for=[path], StateChangeTimestamp=reloaded) == ["daemon-reload", "reload"]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"ActiveState": "inactive"}, ["daemon-reload", "start"]),
        ({"ActiveState": "failed"}, ["daemon-reload", "reset-failed", "start"]),
        ({"ActiveState": "inactive", "UnitFileState": "disabled"}, ["daemon-reload", "enable", "start"]),
        ({"UnitFileState": "disabled"}, ["enable"]),
        ({"UnitFileState": "static"}, []),
        ({"NeedDaemonReload": "yes"}, ["daemon-reload"]),
    ],
)
def test_a_unit_that_should_run_is_enabled_and_started(properties: dict[str, str], expected: list[str]) -> None:
    assert verbs(**properties) == expected


def test_a_unit_that_should_not_run_is_disabled_and_stopped() -> None:
    assert verbs("stopped") == ["disable", "stop"]
    assert verbs("stopped", ActiveState="inactive", UnitFileState="disabled") == []
    assert verbs("stopped", ActiveState="failed", UnitFileState="disabled") == ["reset-failed"]


def test_an_unchanged_unit_is_only_told_of_new_files(file: File) -> None:
    files = [file("a")]
    assert verbs("unchanged", reload_for=files, **RELOADED_LONG_AGO) == ["daemon-reload", "reload"]
    off = {"ActiveState": "inactive", "UnitFileState": "disabled"}
    assert verbs("unchanged", reload_for=files, **RELOADED_LONG_AGO, **off) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Sun 2026-11-22 15:12:03.250000 UTC", 1795360323.25), ("Sun 2026-11-22 15:12:03 UTC", 1795360323.0), ("", 0.0)],
)
def test_systemd_times_are_read(text: str, expected: float) -> None:
    assert unit.seconds(text) == expected
