"""`make` asks once a day before it changes a remote environment, and whoever has no terminal is not asked."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

SCRIPT = ROOT / "tools/confirm.py"
DEPLOY = ("inventories/production", "ansible/deploy.yml", "Deploy v1 to production")
ASKED = "Deploy v1 to production, for the first time today, on 1 host: production.example.com."


# What Ansible lists, in less time.
LISTING = "#!/bin/sh\nprintf '\\n  play #1 (web):\\n    hosts (1):\\n      production.example.com\\n'\n"


def confirm(cache: Path, *arguments: str, answer: str | None, ansible: bool = False) -> tuple[int, str]:
    """Its exit code and what it said. An answer is given on a terminal; without one there is none."""
    program = Path(sys.executable)
    if not ansible:
        program = cache / "bin/python"
        program.parent.mkdir(exist_ok=True)
        program.unlink(missing_ok=True)
        program.symlink_to(sys.executable)
        program.with_name("ansible-playbook").write_text(LISTING)
        program.with_name("ansible-playbook").chmod(0o755)
    terminal, other = pty.openpty()
    try:
        if answer is not None:
            os.write(terminal, f"{answer}\n".encode())
        done = subprocess.run(
            [program, SCRIPT, *arguments],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
            stdin=subprocess.DEVNULL if answer is None else other,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(other)
    return done.returncode, done.stderr


def test_it_says_what_happens_where_and_asks_once_a_day(tmp_path: Path) -> None:
    code, said = confirm(tmp_path, *DEPLOY, answer="yes")
    assert (code, said.splitlines()[0]) == (0, ASKED)
    assert confirm(tmp_path, *DEPLOY, answer="no") == (0, "")
    (remembered,) = (tmp_path / "slipway/confirmed").iterdir()
    remembered.write_text("2001-01-01")
    assert confirm(tmp_path, *DEPLOY, answer="no")[0] == 1


@pytest.mark.parametrize(
    "other",
    [
        ("inventories/staging", "ansible/deploy.yml", "Deploy v1 to staging"),
        ("inventories/production", "ansible/rollback.yml", "Roll production back"),
    ],
)
def test_each_environment_and_each_command_is_asked_about(tmp_path: Path, other: tuple[str, ...]) -> None:
    assert confirm(tmp_path, *DEPLOY, answer="yes")[0] == 0
    assert other[2] in confirm(tmp_path, *other, answer="yes")[1]


@pytest.mark.parametrize("answer", ["no", "", "YES please"])
def test_any_other_answer_changes_nothing(tmp_path: Path, answer: str) -> None:
    code, said = confirm(tmp_path, *DEPLOY, answer=answer)
    assert (code, said.splitlines()[-1].endswith("Nothing was changed.")) == (1, True)
    assert not (tmp_path / "slipway").exists()


def test_nobody_is_asked_where_there_is_no_terminal(tmp_path: Path) -> None:
    assert confirm(tmp_path, *DEPLOY, answer=None) == (0, "")


def test_only_the_hosts_that_would_change_are_named(tmp_path: Path) -> None:
    said = confirm(tmp_path, "molecule/default/inventory", *DEPLOY[1:], "second", answer="no", ansible=True)[1]
    assert "on 1 host: second." in said


def test_what_ansible_cannot_read_is_left_for_its_run_to_explain(tmp_path: Path) -> None:
    assert confirm(tmp_path, "inventories/production", *DEPLOY[1:], "nowhere", answer="no", ansible=True) == (0, "")


def test_who_cannot_remember_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "slipway").touch()
    assert confirm(tmp_path, *DEPLOY, answer="yes")[0] == 0
    assert confirm(tmp_path, *DEPLOY, answer="no")[0] == 1
