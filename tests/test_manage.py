"""The operator's command `NAME-manage`: what it hands over to manage.py."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import jinja2
import pytest
from ansible_collections.slipway.host.plugins.module_utils.release.django import sandbox
from repository import ROOT

TEMPLATE = ROOT / "roles/application/templates/manage.sh.j2"
FILTERS = {"comment": "# {}".format, "slipway.host.sandbox": sandbox}
PROGRAMS = {
    "id": "echo 0",
    "setpriv": "exit 0",
    # What systemd is told to read, as it is at that moment.
    "systemd-run": 'for word; do case $word in *EnvironmentFile=*manage.*) cat "${word#*File=}" ;; esac; done',
}


@pytest.fixture
def command(tmp_path: Path) -> Path:
    (tmp_path / "current").mkdir()
    (tmp_path / "bin").mkdir()
    for name, text in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    environment = jinja2.Environment(trim_blocks=True)  # noqa: S701 - a script is no page
    environment.filters.update(FILTERS)
    values = {"application_name": "shop", "application_user": "shop", "application_root_path": str(tmp_path)}
    path = tmp_path / "shop-manage"
    path.write_text(environment.from_string(TEMPLATE.read_text()).render(values).replace("/run/", f"{tmp_path}/"))
    return path


def test_the_variables_of_createsuperuser_reach_it_and_no_others(tmp_path: Path, command: Path) -> None:
    given = {
        "DJANGO_SUPERUSER_PASSWORD": 'a "b" $c \\ `d`',
        "DJANGO_SUPERUSER_EMAIL": "ada@example.org",
        "DJANGO_X": "x",
    }
    environment = {**given, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    words = ["sh", str(command), "createsuperuser", "--noinput"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == [
        'DJANGO_SUPERUSER_EMAIL="ada@example.org"',
        'DJANGO_SUPERUSER_PASSWORD="a \\"b\\" \\$c \\\\ \\`d\\`"',
    ]
    assert not list(tmp_path.glob("shop-manage.*"))
