"""What the role `release` and its plays promise in keywords, which only several hosts at once would show."""

from __future__ import annotations

from typing import Any

import pytest
from repository import ROOT, load, task_files, tasks

MODULE = "slipway.host.release"
# What the operator sets for a step, by the name that the step has for it.
OPTIONS = {
    "begin": {"reverse_migrations_enabled": "release_reverse_migrations_enabled"},
    "build": {
        "breaking_migrations_enabled": "release_breaking_migrations_enabled",
        "reverse_migrations_enabled": "release_reverse_migrations_enabled",
    },
    "migrate": {"attempts_count": "release_migration_attempts_count"},
    "reverse": {"attempts_count": "release_migration_attempts_count"},
    "finish": {
        "retention_count": "release_retention_count",
        "static_retention_days": "release_static_retention_days",
    },
}


def steps() -> dict[str, dict[str, Any]]:
    """The task that takes each step of a release."""
    found = [task for path in task_files("release") for task, _ in tasks(load(path)) if MODULE in task]
    return {task[MODULE]["step"]: task for task in found}


def blocks() -> list[dict[str, Any]]:
    return list(load(ROOT / "roles/release/tasks/main.yml"))


def imports(entries: list[dict[str, Any]]) -> list[str]:
    return [task["ansible.builtin.import_tasks"] for task in entries]


def test_the_steps_come_in_their_order() -> None:
    release, clean_up = blocks()
    assert imports(release["block"]) == ["source.yml", "lock.yml", "build.yml", "migrate.yml", "switch.yml"]
    assert imports(release["rescue"]) == ["abort.yml"]
    assert (imports(clean_up["block"]), imports(clean_up["rescue"])) == (["finish.yml"], ["leave.yml"])


def test_all_hosts_go_back_when_one_fails() -> None:
    """Otherwise those that did not fail would go on to the switch, and hosts would serve different releases."""
    assert blocks()[0]["any_errors_fatal"] is True


def test_a_release_that_serves_stays_when_clearing_up_fails() -> None:
    assert blocks()[1]["any_errors_fatal"] is False


@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_hosts_are_not_left_behind_when_one_cannot_be_reached(name: str) -> None:
    """Before the role begins, which is when facts are gathered, only the play can say so."""
    plays = [play for play in load(ROOT / f"ansible/{name}.yml") if play.get("become")]
    assert [play.get("any_errors_fatal") for play in plays] == [True]


@pytest.mark.parametrize("step", ["begin", "migrate", "reverse"])
def test_hosts_take_turns(step: str) -> None:
    """Two hosts that migrate one database would wait for each other, as would two runs that lock two hosts."""
    assert steps()[step].get("throttle") == 1


@pytest.mark.parametrize("step", OPTIONS)
def test_a_step_gets_what_the_operator_sets(step: str) -> None:
    """The module has defaults of its own, which would hide an option that is not handed over."""
    expected = {name: f"{{{{ {variable} }}}}" for name, variable in OPTIONS[step].items()}
    assert expected.items() <= steps()[step][MODULE].items()
