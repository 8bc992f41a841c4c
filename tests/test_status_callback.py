"""The output of status.yml and history.yml, from the results of a run of Ansible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.status import Difference
from ansible_collections.slipway.host.plugins.plugin_utils.output import Result
from ansible_collections.slipway.host.plugins.plugin_utils.status.drift import difference, is_difference
from repository import ROOT
from test_status import HOST


@pytest.mark.parametrize(
    ("result", "item"),
    [
        ({"dest": "/etc/a"}, {"task": "nginx: Write", "what": "/etc/a"}),
        ({"invocation": {"module_args": {"dest": "/etc/b"}}}, {"task": "nginx: Write", "what": "/etc/b"}),
        ({"verbs": ["enable", "start"]}, {"task": "nginx: Write", "what": "enable, start"}),
        ({"needed": True, "release": "a", "previous": "a"}, {"task": "nginx: Run the release",
         "what": "a would start again"}),
        ({"needed": True, "release": "b", "previous": "a"}, {"task": "nginx: Run the release",
         "what": "b would start"}),
        ({"censored": "hidden", "dest": "/etc/s3cret"}, {"task": "nginx: Write", "what": None}),
        ({"diff": {"after": "s3cret"}, "content": "s3cret"}, {"task": "nginx: Write", "what": None}),
    ],
)  # fmt: skip
def test_drift_names_the_place_and_never_a_content(result: Result, item: Difference) -> None:
    assert difference("nginx : configure | Write", result) == item


@pytest.mark.parametrize(
    ("action", "result", "expected"),
    [
        ("ansible.builtin.copy", {"changed": True}, True),
        ("ansible.builtin.copy", {"changed": False}, False),
        ("slipway.host.release", {"changed": True, "needed": True}, True),
        ("slipway.host.release", {"changed": True}, False),
    ],
)
def test_only_the_first_step_of_a_release_is_drift(action: str, result: Result, expected: bool) -> None:
    assert is_difference(action, result) == expected


# --- the plugin in a run of Ansible

PLAYBOOK = """
- hosts: all
  gather_facts: false
  ignore_unreachable: "{{ ansible_check_mode }}"
  tasks:
    - name: Ask
      answer: {}
"""
SITE = """
- hosts: all
  gather_facts: false
  tasks:
    - name: demo | Write a file
      ansible.builtin.copy: {content: "s3cret", dest: "{{ playbook_dir }}/file", mode: "0600"}
    - name: demo | Write two
      ansible.builtin.copy: {content: "s3cret", dest: "{{ playbook_dir }}/{{ item }}", mode: "0600"}
      loop: [kept, lost]
    - name: demo | Write a secret
      ansible.builtin.copy: {content: "s3cret", dest: "{{ playbook_dir }}/hidden", mode: "0600"}
      no_log: true
"""
ACTION = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        self._low_level_execute_command("true")
        return {"status": HOST}
"""


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs playbooks with the plugin, on one host that answers and one that is away."""
    (tmp_path / "ask.yml").write_text(PLAYBOOK)
    (tmp_path / "site.yml").write_text(SITE)
    (tmp_path / "kept").write_text("s3cret")
    (tmp_path / "kept").chmod(0o600)
    (tmp_path / "answer.py").write_text(ACTION.replace("HOST", repr(HOST)))
    (tmp_path / "hosts.yml").write_text(
        "all:\n  hosts:\n    web1: {ansible_connection: local, "
        "ansible_python_interpreter: '{{ ansible_playbook_python }}'}\n"
        "    web2: {ansible_host: 127.0.0.1, ansible_port: 1}\n"
    )
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\naction_plugins = .\ncollections_path = {ROOT}/ansible/collections\n"
        "stdout_callback = slipway.host.status\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}

    def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts.yml", *arguments]
        variables = kept | {"COLUMNS": "100"} | environment
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    return start


def test_only_the_table_and_who_is_away_are_printed(run: Run) -> None:
    done = run("ask.yml")
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("shop on ")
    # As wide as its widest line, which says how long ago the release was.
    assert (lines[1:3], set(lines[3])) == (["", "             web1"], {"─"})
    assert [line for line in lines if line.startswith("! web2 cannot be reached: ")]
    assert lines[-1] == "drift: not asked (make status DRIFT=yes)"
    assert "\x1b" not in done.stdout
    assert done.returncode == 4


def test_a_host_that_answers_is_success_however_it_is(run: Run) -> None:
    assert run("ask.yml", "--limit=web1").returncode == 0


def test_json_is_one_document_with_stable_keys(run: Run) -> None:
    document = json.loads(run("ask.yml", STATUS_FORMAT="json").stdout)
    assert list(document) == ["environment", "asked", "hosts", "unreachable", "failed"]
    assert document["hosts"] == {"web1": HOST}
    assert list(document["unreachable"]) == ["web2"]


def test_check_mode_of_another_playbook_is_the_drift_also_when_a_host_is_away(run: Run, tmp_path: Path) -> None:
    done = run("ask.yml", "site.yml", "--check", STATUS_FORMAT="json")
    assert json.loads(done.stdout)["hosts"]["web1"]["drift"] == [
        {"task": "Write a file", "what": f"{tmp_path}/file"},
        {"task": "Write two", "what": f"{tmp_path}/lost"},
        {"task": "Write a secret", "what": None},
    ]
    assert "s3cret" not in done.stdout
    assert "web2" in json.loads(done.stdout)["unreachable"]
