"""What a person sees while a playbook runs, and when it fails."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT

Play = Callable[..., subprocess.Popen[str]]
PLAYBOOK = """
- name: Provision the demonstration
  hosts: all
  gather_facts: false
  tasks:
    - name: demo | Leave things as they are
      ansible.builtin.command: "true"
      changed_when: false
      when: inventory_hostname == "message"
    - name: demo | Write a file
      ansible.builtin.copy: {content: "second\\n", dest: "{{ playbook_dir }}/file", mode: "0600"}
      when: inventory_hostname == "message"
    - name: demo | Keep a file
      ansible.builtin.copy: {content: "kept\\n", dest: "{{ playbook_dir }}/kept", mode: "0600"}
      when: inventory_hostname == "message"
    - name: demo | Write a secret
      ansible.builtin.copy: {content: "s3cret\\n", dest: "{{ playbook_dir }}/secret", mode: "0600"}
      no_log: true
      when: inventory_hostname == "message"
    - name: demo | Skip this
      ansible.builtin.command: "true"
      when: false
    - name: demo | Tell the person
      ansible.builtin.debug:
        msg: "Open https://demo.localhost"
      when: inventory_hostname == "message"
"""
# How one host each fails.
FAILURES = {
    "message": "ansible.builtin.fail: {msg: 'The clock is wrong: set it, then try again.'}",
    "command": "ansible.builtin.shell: echo useless; echo 'no such table' >&2; exit 3",
    "validation": (
        "ansible.builtin.copy: {content: x, dest: '{{ playbook_dir }}/refused', mode: '0600', validate: cat %s none}"
    ),
    "secret": "ansible.builtin.shell: echo s3cret-output >&2; exit 3\n      no_log: true",
    "loop": "ansible.builtin.fail: {msg: 'wrong {{ item }}'}\n      loop: [red, blue]",
    "secret_loop": "ansible.builtin.fail: {msg: 's3cret {{ item }}'}\n      loop: [red]\n      no_log: true",
    "ignored": "ansible.builtin.fail: {msg: tolerable}\n      ignore_errors: true",
    "undefined": "ansible.builtin.command: 'echo {{ nothing_here }}'",
    "trace": "ansible.builtin.command: {argv: [python3, -c, import nothing_of_this_name]}",
    "journal": "explain_failure: {}",
    "unreachable": "ansible.builtin.ping: {}",
}
ACTION = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"failed": True, "msg": "The unit did not start.", "journal": "\\n".join(f"line {n}" for n in range(50))}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playbook and an inventory in which each host fails in its own way."""
    path = tmp_path_factory.mktemp("progress")
    tasks = [
        f"    - name: demo | Fail with {name}\n      {task}\n      when: inventory_hostname == '{name}'\n"
        for name, task in FAILURES.items()
    ]
    hosts = "".join(f"    {name}:\n" for name in FAILURES).replace(
        "unreachable:", "unreachable: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}"
    )
    (path / "explain_failure.py").write_text(ACTION)
    (path / "site.yml").write_text(PLAYBOOK + "".join(tasks))
    (path / "hosts.yml").write_text(
        f"all:\n  hosts:\n{hosts}  vars: {{ansible_connection: local, "
        "ansible_python_interpreter: '{{ ansible_playbook_python }}'}\n"
    )
    (path / "ansible.cfg").write_text(
        f"[defaults]\naction_plugins = .\ncollections_path = {ROOT}/ansible/collections\n"
        "stdout_callback = slipway.host.progress\n"
    )
    return path


@pytest.fixture(scope="module")
def play(folder: Path) -> Play:
    """Start the playbook and return its process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment = kept | {"NO_COLOR": "1", "COLUMNS": "100", "TERM": "xterm"}

    def start(*arguments: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        (folder / "file").write_text("first\n")
        (folder / "kept").write_text("kept\n")
        (folder / "kept").chmod(0o600)
        (folder / "secret").unlink(missing_ok=True)
        ansible = Path(sys.executable).with_name("ansible-playbook")
        return subprocess.Popen(
            [ansible, "-i", "hosts.yml", "site.yml", *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="module")
def output(play: Play) -> str:
    """What a run away from a terminal prints."""
    return play("--diff").communicate()[0]


def test_each_task_is_one_line_with_the_time_and_the_outcome(output: str) -> None:
    for line in (
        r"\[ 0:\d\d\] Provision the demonstration",
        r"\[ 0:\d\d\] demo \| Leave things as they are \.\.\. ok",
        r"\[ 0:\d\d\] demo \| Write a file \.\.\. changed",
        r"\[ 0:\d\d\] demo \| Keep a file \.\.\. ok",
        r"\[ 0:\d\d\] demo \| Skip this \.\.\. skipped",
        r"Open https://demo\.localhost",
        r"\[ 0:\d\d\] demo \| Fail with message \.\.\. failed",
        r"\[ 0:\d\d\] demo \| Fail with ignored \.\.\. ok",
        r"message: 5 ok, 2 changed, 1 failed",
        r"ignored: 1 ok, 0 changed, 0 failed",
        r"unreachable: 0 ok, 0 changed, 1 failed",
        r"docs/troubleshoot\.md says what each message means and what to do\.",
        r"Took 0:\d\d\.",
    ):
        assert re.search(rf"^{line}$", output, re.MULTILINE), f"{line} is not in:\n{output}"
    assert "\x1b" not in output


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        ("message", "Failed on message: demo | Fail with message\n  The clock is wrong: set it, then try again.\n"),
        ("message", "  In site.yml:"),
        ("command", "non-zero return code"),
        ("command", "  no such table\n"),
        ("validation", "  failed to validate\n  cat: none: No such file or directory\n"),
        ("secret", "with secret\n  What it printed is hidden because the task carries a secret.\n"),
        ("loop", "Failed on loop: demo | Fail with loop (item blue)\n  wrong blue\n"),
        ("secret_loop", "with secret_loop (item (censored due to no_log))\n  What it printed is hidden"),
        ("ignored", "Failed, and may, on ignored: demo | Fail with ignored\n  tolerable\n"),
        ("undefined", "'nothing_here' is undefined"),
        ("trace", "ModuleNotFoundError: No module named 'nothing_of_this_name'\n  Run again with -vvv"),
        ("journal", "  The unit did not start.\n\n  The journal's last lines:\n    line 30\n"),
        ("unreachable", "Host unreachable cannot be reached: "),
    ],
)
def test_a_failure_says_what_happened(output: str, failure: str, shown: str) -> None:
    assert shown in output


@pytest.mark.parametrize("noise", ["Traceback", "useless", "s3cret", "One or more items", "line 29\n", "UNREACHABLE"])
def test_a_failure_says_no_more(output: str, noise: str) -> None:
    assert noise not in output


def test_a_diff_is_shown_below_its_task(output: str) -> None:
    assert re.search(r"Write a file \.\.\. changed\n--- before.*\n\+\+\+ after.*\n@@ .*\n-first\n\+second\n", output)


def test_a_play_without_hosts_says_whom_it_is_for(play: Play, folder: Path) -> None:
    (folder / "none.yml").write_text("- hosts: database:broker\n  gather_facts: false\n  tasks: []\n")
    output, _ = play("none.yml", "--limit=ignored").communicate()
    assert "No host of the inventory belongs to this play, which is for: database:broker." in output


def test_verbose_output_shows_the_trace_and_still_no_secret(play: Play) -> None:
    output, _ = play("-vvv", "--limit=trace,secret").communicate()
    assert "Traceback" in output
    assert "s3cret-output" not in re.sub(r"<secret> EXEC .*", "", output)


def test_a_terminal_keeps_only_tasks_that_changed_something(play: Play) -> None:
    ours, theirs = pty.openpty()
    output = b""
    with play("--limit=message", output=theirs):
        os.close(theirs)
        with contextlib.suppress(OSError):  # The terminal is gone when the process has ended.
            while part := os.read(ours, 4096):
                output += part
    os.close(ours)
    kept = [line.rpartition("\x1b[2K")[2] for line in output.decode().split("\r\n")]
    assert [line[8:] for line in kept if line.startswith("[")] == [
        "Provision the demonstration",
        "demo | Write a file ... changed",
        "demo | Write a secret ... changed",
        "demo | Fail with message ... failed",
    ]
    assert "m" not in re.findall(r"\x1b\[[0-9;]*([A-Za-z])", output.decode())
