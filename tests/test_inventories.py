"""A misspelt or misplaced variable fails here, before it fails on a host."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from repository import INVENTORIES, ROLES, ROOT, load, options

KNOWN = {role: set(options(role)) for role in ROLES}
PREFIXES = {"ansible": "ansible_", "vault": "vault_"}
# What only exists once hosts are booted or a front end is built.
GIVEN = {"ansible_host": "192.0.2.1", "project_https_port": 8443, "project_frontends": []}
# Inventories of servers, which need none of it.
SERVERS = ["inventories/cluster", "inventories/production", "inventories/staging"]
VARIABLES = [path for name in INVENTORIES for path in sorted((ROOT / name).glob("*_vars/**/*.yml"))]

every_inventory = pytest.mark.parametrize("name", INVENTORIES)


@pytest.mark.parametrize("path", VARIABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_variables_lie_in_the_file_of_the_role_that_reads_them(path: Path) -> None:
    for name in load(path):
        if path.stem in PREFIXES:
            assert name.startswith(PREFIXES[path.stem])
        elif path.parent.name in ("group_vars", "host_vars"):
            # One file for a group or a host holds all its differences.
            assert any(name in names for names in KNOWN.values()) or name.startswith("ansible_")
        else:
            assert path.stem in KNOWN, f"{path.name} is named after no role"
            assert name in KNOWN[path.stem], f"role {path.stem} does not know {name}"


@every_inventory
def test_all_inventories_have_the_same_shape(name: str) -> None:
    assert load(ROOT / name / "hosts.yml"), "hosts.yml names the machines"
    assert load(ROOT / name / "group_vars/all/project.yml"), "group_vars/all/project.yml says what differs"


def hosts(groups: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every host below `groups` with its variables, as often as it is written."""
    for group in filter(None, groups.values()):
        for name, variables in (group.get("hosts") or {}).items():
            yield name, variables or {}
        yield from hosts(group.get("children") or {})


@every_inventory
def test_a_host_is_named_once(name: str) -> None:
    names = [host for host, _ in hosts(load(ROOT / name / "hosts.yml"))]
    assert names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_has_no_variable_of_test_hosts(name: str) -> None:
    for _, variables in hosts(load(ROOT / name / "hosts.yml")):
        assert set(variables) <= {"ansible_host"}


def test_no_variables_lie_beside_the_playbooks() -> None:
    # They would silently beat the inventory's.
    assert not [*(ROOT / "ansible").glob("group_vars"), *(ROOT / "ansible").glob("host_vars")]


CHECK = """\
- hosts: all
  gather_facts: false
  tasks:
    - slipway.host.validate_inventory:
"""


@every_inventory
def test_an_inventory_passes_its_own_check(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inventory"
    shutil.copytree(ROOT / name, folder, ignore=shutil.ignore_patterns(".secrets", "machines.yml"))
    (tmp_path / "check.yml").write_text(CHECK)
    given = [] if name in SERVERS else ["-e", json.dumps(GIVEN)]
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [str(part) for part in (program, "-i", folder, tmp_path / "check.yml", *given)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
