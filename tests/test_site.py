"""A provision changes all hosts or none."""

from __future__ import annotations

from pathlib import Path

import plays
import pytest
from repository import ROOT, load

REFUSED = "web2 cannot go on, as said above, so nothing was changed on any host."


def said(folder: Path, refuse: str, *options: str) -> str:
    """What a run says whose preflight refuses some hosts, and whose first change is a message."""
    (gate,) = [play for play in load(ROOT / "ansible/site.yml") if play["name"] == "All hosts or none"]
    preflight = {"ansible.builtin.fail": {"msg": "A certificate."}, "when": refuse}
    change = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} changes"}}
    around = [plays.play(preflight), gate, plays.play(change)]
    code, output = plays.run(folder, around, "--connection=local", *options, hosts="web1,web2,data")
    assert (code == 0) == (refuse == "false"), output
    return output


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
