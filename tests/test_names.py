"""A run says which names of a project come and go, before they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from repository import ROOT


def said(folder: Path, before: list[str] | None, now: list[str]) -> str:
    """What the tasks say of a host that answers these names."""
    known = yaml.safe_load((ROOT / "roles/nginx/vars/main.yml").read_text())
    facts: dict[str, Any] = {"ansible_local": {"slipway_shop": {"domains": before}} if before is not None else {}}
    given = {
        **known,
        "nginx_name": "shop",
        "nginx_domain": now[0],
        "nginx_other_domains": now[1:],
        "ansible_facts": facts,
    }
    given |= {"nginx_redirect_domains": [], "nginx_frontend_domains": []}
    tasks = str(ROOT / "roles/nginx/tasks/names.yml")
    code, output = plays.run(folder, [plays.play({"ansible.builtin.import_tasks": tasks}, **given)])
    assert code == 0, output
    return output


COME = "new.example will be answered, once DNS leads there."
GO = "old.example will no longer be answered: keep it in project_other_domains"


@pytest.mark.parametrize(
    ("before", "now", "sentences"),
    [
        (["old.example"], ["new.example", "old.example"], [f"web1: {COME}"]),
        (["old.example"], ["new.example"], [f"web1: {COME} {GO}"]),
        (["new.example", "old.example"], ["new.example"], [f"web1: {GO}"]),
        (["new.example"], ["new.example"], []),
        (None, ["new.example"], []),
    ],
)
def test_names_that_come_and_go_are_said(
    tmp_path: Path, before: list[str] | None, now: list[str], sentences: list[str]
) -> None:
    output = said(tmp_path, before, now)
    assert [sentence for sentence in sentences if sentence in output] == sentences
    assert ("answered" in output) == bool(sentences)
