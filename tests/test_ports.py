"""A port that another program has is found before anything changes, not at the end of a first run."""

from __future__ import annotations

import os
from pathlib import Path

import plays
import pytest
import yaml
from repository import ROOT

LISTENERS = """
LISTEN 0 511  0.0.0.0:80        0.0.0.0:* users:(("{web}",pid=812,fd=4),("{web}",pid=813,fd=4))
LISTEN 0 511  [::]:8443            [::]:* users:(("node",pid=5,fd=4))
LISTEN 0 511  127.0.0.1:6380    0.0.0.0:* users:(("node",pid=5,fd=5))
LISTEN 0 200  127.0.0.1:5432    0.0.0.0:* users:(("docker-proxy",pid=77,fd=4))
"""


def preflight(folder: Path, web: str, *groups: str) -> str:
    """What the tasks say to a host of these groups where somebody listens."""
    ss = folder / "ss"
    ss.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTENERS.format(web=web).strip()}\nEND\n")
    ss.chmod(0o755)
    known = yaml.safe_load((ROOT / "roles/project/vars/main.yml").read_text())
    given = {
        **known,
        "project_http_port": 80,
        "project_https_port": 443,
        "__project_cache_port": 6380,
        "__project_groups": list(groups),
        "ansible_become": False,
    }
    tasks = str(ROOT / "roles/project/tasks/ports.yml")
    (folder / "hosts").write_text("".join(f"[{group}]\nweb1\n" for group in groups))
    here = [plays.play({"ansible.builtin.import_tasks": tasks}, **given)]
    return plays.run(folder, here, hosts="hosts", PATH=f"{folder}:{os.environ['PATH']}")[1]


@pytest.mark.parametrize(
    ("web", "groups", "sentence"),
    [
        (
            "apache2",
            ["web", "worker"],
            "Port 80 of web1 is in use by apache2 (process 812): stop that program and keep it from starting again, "
            "or set project_http_port. Nothing was changed.",
        ),
        ("nginx", ["web", "worker"], "web1: 2 ok, 0 changed, 0 failed"),
        ("nginx", ["database"], "Port 5432 of web1 is in use by docker-proxy (process 77): stop that program"),
        ("nginx", ["cache"], "Port 6380 of web1 is in use by node (process 5): stop that program and keep"),
        ("apache2", ["broker"], "web1: 2 ok, 0 changed, 0 failed"),
    ],
)
def test_a_port_that_another_program_has_is_refused(tmp_path: Path, web: str, groups: list[str], sentence: str) -> None:
    assert sentence in preflight(tmp_path, web, *groups)
