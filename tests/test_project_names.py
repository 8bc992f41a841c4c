"""A project's name is that of its account, folders and units, and must be nobody else's."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.inventory import rules
from repository import ROOT, load, tasks

ACCOUNTS = Path("/usr/share/base-passwd")


def names_in_roles() -> set[str]:
    """The users, groups and units that the roles name; what they compute is no fixed name."""
    every = [task for path in ROOT.glob("roles/*/*/*.yml") for task, _ in tasks(task_list(path))]
    actions = [action for task in every for action in task.values() if isinstance(action, dict)]
    found = [action.get(key) for action in actions for key in ("owner", "group")]
    found += [task.get("become_user") for task in every]
    units = ("ansible.builtin.systemd_service", "slipway.host.unit")
    found += [task[unit].get("name") for task in every for unit in units if unit in task]
    return {name.partition(".")[0].partition("@")[0] for name in found if name and "{" not in name}


def task_list(path: Path) -> list[dict[str, Any]]:
    found = load(path)
    return found if isinstance(found, list) else []


def test_a_name_that_roles_give_to_something_else_is_refused() -> None:
    names = names_in_roles()
    assert {"root", "postgres", "nginx"} <= names
    assert not [name for name in names if rules.is_name(name)]


@pytest.mark.skipif(not ACCOUNTS.is_dir(), reason="this machine is no Debian")
def test_a_name_of_an_account_that_every_debian_has_is_refused() -> None:
    lines = [line for path in ACCOUNTS.glob("*.master") for line in path.read_text().splitlines()]
    assert lines
    assert not [line for line in lines if rules.is_name(line.partition(":")[0])]


@pytest.mark.parametrize("name", ["shop", "slipway", "mailer", "backups", "my-proxy", "web2"])
def test_a_name_that_only_looks_like_one_is_accepted(name: str) -> None:
    assert rules.is_name(name)
