"""What `make status` and `make history` print, from what the hosts said."""

import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.callback import status
from repository import ROOT

NOW = "2026-11-22T12:00:00+00:00"
RUNS = {"state": "active", "restarts": 0}
HOST = {
    "name": "shop",
    "provisioned": True,
    "release": "aa042e72175b",
    "commit": "aa042e72175b17db9cba15a5840e5c3cd7ff6a9a",
    "ref": "v1.4.0",
    "kind": "deploy",
    "by": "anna@laptop",
    "since": "2026-11-22T10:58:00+00:00",
    "processes": {"web": RUNS, "worker": RUNS, "beat": RUNS},
    "services": {"nginx": RUNS},
    "health": {"ok": True, "answer": "200"},
    "migrations": {"pending": [], "problem": None},
    "queues": {"queues": {"default": 3, "dead_letters": 0}, "reachable": True},
    "certificate": {"expires": "2027-12-24T12:00:00+00:00"},
    "disk": {"path": "/srv/shop", "free_bytes": 40 * 2**30, "free_percent": 55},
    "maintenance": {"on": False, "since": None},
    "lock": None,
    "unfinished": None,
    "drift": None,
}
# Of a host with the database alone; every value is missing that may be.
DATA = {
    **HOST,
    **dict.fromkeys(
        ["release", "commit", "ref", "kind", "by", "since", "health", "migrations", "queues", "certificate"]
    ),
    "maintenance": None,
    "processes": {},
    "services": {"postgresql": RUNS},
}
ATTEMPT = {
    "kind": "deploy",
    "release": "aa042e72175b",
    "commit": "aa042e72175b17db9cba15a5840e5c3cd7ff6a9a",
    "ref": "v1.4.0",
    "by": "anna@laptop",
    "result": "good",
    "finished": "2026-11-22T10:58:00+00:00",
    "seconds": 71.2,
}


def plain(text, level):
    return text


def shown(width=100, unreachable=(), failed=(), **hosts):
    document = {
        "environment": "production",
        "asked": NOW,
        "hosts": hosts,
        "unreachable": dict(unreachable),
        "failed": dict(failed),
    }
    return "\n".join(status.status_lines(document, width, plain))


def rows(text):
    """The rows of a table with one host: what stands beside each label."""
    return dict(re.findall(r"^([a-z]+) {2,}(.+)$", text, re.MULTILINE))


def one(**changes):
    return rows(shown(web1={**HOST, **changes}))


def test_a_host_that_is_well_is_told_in_full():
    assert one() == {
        "release": "aa042e72175b",
        "commit": "aa042e7 (v1.4.0)",
        "since": "2026-11-22 10:58, 62 min ago",
        "by": "anna@laptop",
        "health": "ok",
        "processes": "web, worker, beat active",
        "services": "nginx active",
        "migrations": "none pending",
        "queues": "default 3, dead_letters 0",
        "certificate": "397 days left",
        "disk": "40.0 GiB free, 55 %",
        "maintenance": "off",
    }


@pytest.mark.parametrize(
    ("row", "words", "changes"),
    [
        ("release", "! none serves yet", {"release": None}),
        ("commit", "aa042e7", {"ref": "aa042e72175b"}),
        ("commit", "shop.tar.gz", {"commit": None, "ref": "shop.tar.gz"}),
        ("since", "rolled back 2026-11-22 10:58, 62 min ago", {"kind": "rollback"}),
        ("since", "-", {"since": None}),
        ("health", "! 503: database failed", {"health": {"ok": False, "answer": '503 {"checks": '
         '{"database": "failed", "migrations": "ok"}}'}}),
        ("health", "! 502 <h1>no</h1>", {"health": {"ok": False, "answer": "502 <h1>no</h1>\n"}}),
        ("health", "! 503 [1]", {"health": {"ok": False, "answer": "503 [1]"}}),
        ("processes", "web active", {"processes": {"web": RUNS, "worker": {"state": "failed", "restarts": 0}}}),
        ("processes", "! beat active, 3 restarts", {"processes": {"beat": {"state": "active", "restarts": 3}}}),
        ("processes", "! web activating, 9 restarts", {"processes": {"web": {"state": "activating", "restarts": 9}}}),
        ("migrations", "! 1 pending: users.0002", {"migrations": {"pending": ["users.0002"], "problem": None}}),
        ("migrations", "! 5 pending: a, b, c and 2 more", {"migrations": {"pending": [*"abcde"], "problem": None}}),
        ("migrations", "! unknown: no route", {"migrations": {"pending": None, "problem": "no route"}}),
        ("queues", "-", {"queues": None}),
        ("queues", "! the broker does not answer", {"queues": {"queues": {}, "reachable": False}}),
        ("queues", "default 3", {"queues": {"queues": {"default": 3, "dead_letters": 2}, "reachable": True}}),
        ("certificate", "! 20 days left", {"certificate": {"expires": "2026-12-13T11:00:00+00:00"}}),
        ("certificate", "21 days left", {"certificate": {"expires": "2026-12-13T12:00:00+00:00"}}),
        ("certificate", "! expired", {"certificate": {"expires": "2026-11-22T11:00:00+00:00"}}),
        ("certificate", "! nginx shows none", {"certificate": None}),
        ("disk", "! 5.0 GiB free, 9 %", {"disk": {"path": "/", "free_bytes": 5 * 2**30, "free_percent": 9}}),
        ("disk", "! 0.5 GiB free, 50 %", {"disk": {"path": "/", "free_bytes": 2**29, "free_percent": 50}}),
        ("maintenance", "! on, since 2 h", {"maintenance": {"on": True, "since": "2026-11-22T10:00:00+00:00"}}),
        ("lock", "! bob@ci, 90 s ago: deploy of bb, in the step build", {"lock": {"who": "bob@ci", "step": "build",
         "what": "deploy of bb", "since": "2026-11-22T11:58:30+00:00"}}),
        ("unfinished", "! deploy of bb by bob@ci, killed in the step migrate", {"unfinished": {"kind": "deploy",
         "release": "bb", "by": "bob@ci", "step": "migrate", "started": NOW}}),
        ("drift", "none", {"drift": []}),
        ("drift", "! /etc/nginx/nginx.conf", {"drift": [{"task": "nginx: Write", "what": "/etc/nginx/nginx.conf"}]}),
        ("drift", "! nginx: Run nginx: start", {"drift": [{"task": "nginx: Run nginx", "what": "start"}]}),
    ],
)  # fmt: skip
def test_a_row_says(row, words, changes):
    assert one(**changes)[row] == words


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("             ! worker failed", {"processes": {"web": RUNS, "worker": {"state": "failed", "restarts": 0}}}),
        ("             ! dead_letters 2", {"queues": {"queues": {"default": 3, "dead_letters": 2}, "reachable": True}}),
    ],
)
def test_what_needs_a_look_has_a_line_of_its_own(line, changes):
    assert line in shown(web1={**HOST, **changes}).splitlines()


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_no_line_is_wider_than_the_screen(width, count):
    long = {"ok": False, "answer": "connection refused " * 9}
    text = shown(width, {"web9": "a long story " * 20}, **{f"web{n}": {**HOST, "health": long} for n in range(count)})
    assert max(map(len, text.splitlines())) <= width
    assert set(re.findall(r"web\d", text)) == {f"web{n}" for n in range(count)} | {"web9"}


def test_hosts_stand_side_by_side_in_columns_that_align():
    text = shown(web1=HOST, data=DATA)
    columns = {line.index(word) for line in text.splitlines() for word in ("data", "postgresql active") if word in line}
    assert len(columns) == 1
    assert re.search(r"^services +nginx active +postgresql active$", text, re.MULTILINE)
    assert re.search(r"^release +aa042e72175b +-$", text, re.MULTILINE)


def test_colours_do_not_move_a_column():
    def paint(text, level):
        return f"\x1b[1m{text}\x1b[0m"

    bad = {**HOST, "health": {"ok": False, "answer": "503"}}
    document = {"environment": "x", "asked": NOW, "hosts": {"web1": bad, "web2": HOST}, "unreachable": {}, "failed": {}}
    painted = "\n".join(status.status_lines(document, 100, paint))
    assert re.sub(r"\x1b\[\dm", "", painted) == "\n".join(status.status_lines(document, 100, plain))


def test_hosts_with_different_releases_are_named():
    sentence = "! The hosts run different releases: web1 and web2 run aa042e72175b; web3 runs bb."
    assert sentence in shown(web1=HOST, web2=HOST, web3={**HOST, "release": "bb"}, data=DATA)
    assert "different" not in shown(web1=HOST, web2=HOST, data=DATA)


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("! web2 cannot be reached: ssh: Connection refused.", {"unreachable": {"web2": "ssh: Connection refused"}}),
        ("! web2 could not be asked: no python.", {"failed": {"web2": "no python"}}),
        ("! web2 was never provisioned: run `make provision ENV=production` first.",
         {"web2": {**DATA, "provisioned": False}}),
        ("drift: not asked (make status DRIFT=yes)", {}),
    ],
)  # fmt: skip
def test_a_sentence_below_the_table_says(sentence, said):
    text = shown(web1=HOST, **said)
    assert sentence in text.splitlines()
    assert "aa042e72175b" in text
    assert sentence.split()[1] not in text.splitlines()[3]


def test_nothing_is_shown_twice_when_no_host_answers():
    assert shown(unreachable={"web1": "timed out"}).split("\n") == ["", "! web1 cannot be reached: timed out.", ""]


# --- a run that goes on, and one that was killed

LOCK = {"token": "t0ken", "who": "bob@ci", "what": "deploy of bb", "since": NOW}
LEFT = {"kind": "deploy", "release": "bb", "step": "build", "by": "bob@ci", "started": NOW}


@pytest.mark.parametrize(
    ("lock", "dead", "locked", "unfinished"),
    [(LOCK, False, "build", False), (LOCK, True, None, True), (None, False, None, True)],
)
def test_an_attempt_is_unfinished_when_nobody_ends_it(lock, dead, locked, unfinished):
    found = status.settle({**HOST, "lock": lock, "unfinished": LEFT}, is_dead=lambda token: dead)
    assert (found["lock"] or {}).get("step") == locked
    assert found["unfinished"] == (LEFT if unfinished else None)
    assert "t0ken" not in json.dumps(found)


# --- drift


@pytest.mark.parametrize(
    ("result", "item"),
    [
        ({"dest": "/etc/a"}, {"task": "nginx: Write", "what": "/etc/a"}),
        ({"invocation": {"module_args": {"dest": "/etc/b"}}}, {"task": "nginx: Write", "what": "/etc/b"}),
        ({"verbs": ["enable", "start"]}, {"task": "nginx: Write", "what": "enable, start"}),
        ({"needed": True, "release": "a", "previous": "a"}, {"task": "nginx: Run the release",
         "what": "a would start again"}),
        ({"censored": "hidden", "dest": "/etc/s3cret"}, {"task": "nginx: Write", "what": None}),
        ({"diff": {"after": "s3cret"}, "content": "s3cret"}, {"task": "nginx: Write", "what": None}),
    ],
)  # fmt: skip
def test_drift_names_the_place_and_never_a_content(result, item):
    assert status.drift_item("nginx : configure | Write", result) == item


# --- history


def history(**histories):
    document = {"environment": "x", "attempts": status.merge(histories), "unreachable": {}, "failed": {}}
    return "\n".join(status.history_lines(document, 100, plain)).strip().splitlines()


def later(minutes, **changes):
    finished = datetime.datetime.fromisoformat(ATTEMPT["finished"]) + datetime.timedelta(minutes=minutes)
    return {**ATTEMPT, "finished": finished.isoformat(), **changes}


def test_an_attempt_is_one_line():
    assert history(web1=[ATTEMPT])[2] == "2026-11-22 10:58  deploy  aa042e72175b (v1.4.0)  anna@laptop  good         71"


def test_the_newest_attempt_comes_first():
    assert [line[:16] for line in history(web1=[ATTEMPT, later(5)])[2:]] == ["2026-11-22 11:03", "2026-11-22 10:58"]


def test_the_same_attempt_on_several_hosts_is_one_line():
    lines = history(web1=[ATTEMPT, later(60)], web2=[later(1), later(61, result="failed")])
    assert [re.findall(r"(\S+) +\d+  (.*)$", line)[0] for line in lines[2:]] == [
        ("failed", "web2"),
        ("good", "web1"),
        ("good", "web1, web2"),
    ]


def test_hosts_are_named_also_when_all_attempts_were_on_both():
    assert history(web1=[ATTEMPT], web2=[ATTEMPT])[2].endswith("web1, web2")


def test_an_attempt_that_was_not_good_says_where_and_why():
    lines = history(web1=[later(0, result="failed", step="build", why="`uv` failed.\nmuch more")])
    assert lines[3] == "    build: `uv` failed."


def test_old_records_with_little_in_them_are_shown():
    lines = history(web1=[{"release": "without a time"}, {"finished": NOW}])
    assert lines[2:] == ["2026-11-22 12:00  -     -        -   -             -"]


def test_twenty_attempts_are_shown():
    assert len(history(web1=[later(minutes) for minutes in range(30)])) == 2 + 20


def test_no_history_is_a_sentence():
    assert history(web1=[]) == ["Nothing was released to x yet."]


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


@pytest.fixture
def run(tmp_path):
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

    def start(*arguments, **environment):
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.yml", *arguments]
        environment = kept | {"COLUMNS": "100"} | environment
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return start


def test_only_the_table_and_who_is_away_are_printed(run):
    done = run("ask.yml")
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("shop on ")
    # As wide as its widest line, which says how long ago the release was.
    assert (lines[1:3], set(lines[3])) == (["", "             web1"], {"─"})
    assert [line for line in lines if line.startswith("! web2 cannot be reached: ")]
    assert lines[-1] == "drift: not asked (make status DRIFT=yes)"
    assert "\x1b" not in done.stdout
    assert done.returncode == 4


def test_a_host_that_answers_is_success_however_it_is(run):
    assert run("ask.yml", "--limit=web1").returncode == 0


def test_json_is_one_document_with_stable_keys(run):
    document = json.loads(run("ask.yml", STATUS_FORMAT="json").stdout)
    assert list(document) == ["environment", "asked", "hosts", "unreachable", "failed"]
    assert document["hosts"] == {"web1": HOST}
    assert list(document["unreachable"]) == ["web2"]


def test_check_mode_of_another_playbook_is_the_drift_also_when_a_host_is_away(run, tmp_path):
    done = run("ask.yml", "site.yml", "--check", STATUS_FORMAT="json")
    assert json.loads(done.stdout)["hosts"]["web1"]["drift"] == [
        {"task": "Write a file", "what": f"{tmp_path}/file"},
        {"task": "Write two", "what": f"{tmp_path}/lost"},
        {"task": "Write a secret", "what": None},
    ]
    assert "s3cret" not in done.stdout
    assert "web2" in json.loads(done.stdout)["unreachable"]
