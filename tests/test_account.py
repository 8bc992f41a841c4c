"""A user that a host has already is not taken over as the project's own."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

PLAY = """\
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.import_role: {name: application, tasks_from: account}
"""


def check(tmp_path: Path, user: str, home: str) -> tuple[int, str]:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {localhost: }}\n")
    (tmp_path / "play.yml").write_text(PLAY)
    program = Path(sys.executable).with_name("ansible-playbook")
    command: list[str | Path] = [program, "-i", tmp_path / "hosts.yml", tmp_path / "play.yml"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    command += ["-e", f"project_name={user}", "-e", "project_domain=shop.test", "-e", f"application_root_path={home}"]
    environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(ROOT / "roles")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("user", "home"), [("nobody-has-this", "/srv/shop"), ("daemon", pwd.getpwnam("daemon").pw_dir)]
)
def test_the_projects_own_user_and_a_new_one_are_accepted(tmp_path: Path, user: str, home: str) -> None:
    code, said = check(tmp_path, user, home)
    assert code == 0, said


def test_a_user_with_another_home_is_refused(tmp_path: Path) -> None:
    code, said = check(tmp_path, "daemon", "/srv/daemon")
    assert code != 0
    assert "localhost has a user daemon already" in said
    assert "take another project_name" in said
