"""A misspelt or misplaced variable fails here, before it fails on a host."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import INVENTORIES, ROLES, ROOT, load, options

KNOWN = {role: set(options(role)) for role in ROLES}
PREFIXES = {"ansible": "ansible_", "vault": "vault_"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id="/".join(path.relative_to(ROOT / "inventories").parts))
        for name in INVENTORIES
        for path in sorted((ROOT / "inventories" / name).glob("*_vars/**/*.yml"))
    ],
)
def test_variables_lie_in_the_file_of_the_role_that_reads_them(path):
    for name in load(path):
        if path.stem in PREFIXES:
            assert name.startswith(PREFIXES[path.stem])
        elif path.parent.name in (
            "group_vars",
            "host_vars",
        ):  # One file for a group or a host holds all its differences.
            assert any(name in names for names in KNOWN.values()) or name.startswith("ansible_")
        else:
            assert path.stem in KNOWN, f"{path.name} is named after no role"
            assert name in KNOWN[path.stem], f"role {path.stem} does not know {name}"


@pytest.mark.parametrize("name", INVENTORIES)
def test_all_inventories_have_the_same_shape(name):
    folder = ROOT / "inventories" / name
    assert load(folder / "hosts.yml"), "hosts.yml names the machines"
    assert load(folder / "group_vars/all/project.yml"), "group_vars/all/project.yml says what differs"


def test_no_variables_lie_beside_the_playbooks():
    # They would silently beat the inventory's.
    assert not [*(ROOT / "ansible").glob("group_vars"), *(ROOT / "ansible").glob("host_vars")]


CHECK = """\
- hosts: all
  gather_facts: false
  tasks:
    - slipway.host.validate_inventory:
"""


@pytest.mark.parametrize("environment", INVENTORIES)
def test_an_inventory_passes_its_own_check(tmp_path, environment):
    """What only exists once hosts are booted or a front end is built is given here."""
    shutil.copytree(
        ROOT / "inventories" / environment, tmp_path / environment, ignore=shutil.ignore_patterns(".secrets")
    )
    (tmp_path / "check.yml").write_text(CHECK)
    given = {"ansible_host": "192.0.2.1", "project_https_port": 8443, "project_frontends": []}
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [program, "-i", tmp_path / environment, tmp_path / "check.yml", "-e", json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
