"""Run plays of a test's own as the Makefile would, to see what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from repository import ROOT


def run(
    folder: Path, plays: list[dict[str, Any]], *options: str, hosts: str = "web1,", **environment: str
) -> tuple[int, str]:
    """The exit code of the plays, and what they say, on one line."""
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    shown = {"ANSIBLE_STDOUT_CALLBACK": "slipway.host.progress", "COLUMNS": "1000"}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", hosts, "play.yml", *options]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **shown, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, " ".join(done.stdout.split())


def play(*tasks: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """A play of these tasks, on this machine in the place of each host."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {"hosts": "all", "gather_facts": False, "vars": {**local, **variables}, "tasks": list(tasks)}
