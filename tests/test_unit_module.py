"""The module `unit` decides from times and states alone what a service needs."""

import os

import pytest
from ansible_collections.slipway.host.plugins.modules import unit

RUNNING = {
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "InactiveExitTimestamp": 1000.0,
    "StateChangeTimestamp": 2000.0,
}


@pytest.fixture
def file(tmp_path):
    """A function that makes a file of a given age and returns its path."""

    def make(name, seconds):
        path = tmp_path / name
        path.touch()
        os.utime(path, (seconds, seconds))
        return str(path)

    return make


def verbs(state="started", restart_for=(), reload_for=(), **properties):
    return unit.needed({**RUNNING, **properties}, state, restart_for, reload_for)


def test_a_running_unit_with_older_files_is_left_alone(file):
    assert verbs(restart_for=[file("a", 999)], reload_for=[file("b", 1999)]) == []


def test_a_file_newer_than_the_start_restarts(file):
    assert verbs(restart_for=[file("a", 1001)]) == ["daemon-reload", "restart"]


def test_a_file_newer_than_the_last_reload_reloads(file):
    assert verbs(reload_for=[file("a", 2001)]) == ["daemon-reload", "reload"]


def test_a_reload_that_failed_is_tried_again(file):
    older = [file("a", 1999)]
    assert verbs(reload_for=older, ReloadResult="exit-code") == ["daemon-reload", "reload"]
    assert verbs(reload_for=older, ReloadResult="success") == []


def test_a_unit_that_is_never_reloaded_for_a_file_is_left_alone():
    """Somebody else's reload failed."""
    assert verbs(ReloadResult="exit-code") == []


def test_a_restart_makes_a_reload_superfluous(file):
    assert verbs(restart_for=[file("a", 2001)], reload_for=[file("b", 2001)]) == ["daemon-reload", "restart"]


def test_globs_find_files_and_missing_ones_do_not_matter(file, tmp_path):
    file("one.pem", 3000)
    assert verbs(reload_for=[f"{tmp_path}/*.pem", f"{tmp_path}/none"]) == ["daemon-reload", "reload"]


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
def test_a_unit_that_should_run_is_enabled_and_started(properties, expected):
    assert verbs(**properties) == expected


def test_a_unit_that_should_not_run_is_disabled_and_stopped():
    assert verbs("stopped") == ["disable", "stop"]
    assert verbs("stopped", ActiveState="inactive", UnitFileState="disabled") == []


def test_an_unchanged_unit_is_only_told_of_new_files(file):
    assert verbs("unchanged", reload_for=[file("a", 2001)]) == ["daemon-reload", "reload"]
    assert verbs("unchanged", reload_for=[file("a", 2001)], ActiveState="inactive", UnitFileState="disabled") == []


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [("Sun 2026-11-22 15:12:03.250000 UTC", 1795360323.25), ("Sun 2026-11-22 15:12:03 UTC", 1795360323.0), ("", 0.0)],
)
def test_systemd_times_are_read(stamp, expected):
    assert unit.seconds(stamp) == expected
