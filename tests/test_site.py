"""A provision changes all hosts or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repository import ROOT, load

REFUSED = "web2 cannot go on, as said above, so nothing was changed on any host."


def said(folder: Path, refuse: str, *options: str) -> str:
    """What a run says whose preflight refuses some hosts, and whose first change is a message."""
    (gate,) = [play for play in load(ROOT / "ansible/site.yml") if play["name"] == "All hosts or none"]
    preflight = {"ansible.builtin.fail": {"msg": "A certificate."}, "when": refuse}
    change = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} changes"}}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [task]} for task in (preflight, change)]
    (folder / "play.yml").write_text(yaml.safe_dump([plays[0], gate, plays[1]]))
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "slipway.host.progress", "COLUMNS": "1000"}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/ansible/collections"}
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-c",
        "local",
        "-i",
        "web1,web2,data",
        "play.yml",
    ]
    done = subprocess.run(
        [*command, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (refuse == "false"), done.stdout
    return " ".join(done.stdout.split())


def test_no_host_changes_when_one_is_refused(tmp_path: Path) -> None:
    output = said(tmp_path, "inventory_hostname == 'web2'")
    assert (
        f"{REFUSED} Correct it and run the same command again, or leave the host out with LIMIT='all:!web2'." in output
    )
    assert " changes" not in output


@pytest.mark.parametrize(("refuse", "options"), [("false", []), ("inventory_hostname == 'web2'", ["--check"])])
def test_nothing_is_in_the_way_of_good_hosts_and_of_plans(tmp_path: Path, refuse: str, options: list[str]) -> None:
    output = said(tmp_path, refuse, *options)
    assert REFUSED not in output
    assert "web1 changes" in output
    assert "data changes" in output
