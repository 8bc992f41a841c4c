"""`make status` and `make history` tell the truth about a host, and change nothing."""

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inventory
import pytest
from support import Site, eventually, processes, query, slot
from testinfra.host import Host

ROOT = Path(__file__).parents[2]
MIGRATION = ("django_celery_beat", "0019_alter_periodictasks_options")
UNIT = "/etc/systemd/system/slipway-worker@.service"
COMMAND = "/usr/local/bin/slipway-manage"
FLAG = "/etc/nginx/maintenance/slipway/on"
ATTEMPT = "/srv/slipway/attempt.json"
# The roles whose files no test here changes.
OTHERS = "base,ssh,firewall,certificates,postgresql,broker"
NOBODY = {"kind": "deploy", "release": "0123456789ab", "step": "build", "by": "anna@laptop", "token": "t0ken"}

pytestmark = [pytest.mark.once, pytest.mark.slipway, pytest.mark.group("web")]
destructive = pytest.mark.destructive


def play(host: Host, *arguments: str) -> dict[str, Any]:
    """What the real playbooks say of one host, as JSON."""
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [playbook, "-i", inventory.variables(host)["inventory_dir"], f"--limit={host.backend.host}", *arguments]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "slipway.host.status", "STATUS_FORMAT": "json"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ask(host: Host) -> dict[str, Any]:
    told: dict[str, Any] = play(host, "ansible/status.yml")["hosts"][host.backend.host]
    return told


def ask_drift(host: Host) -> list[str]:
    """The places that differ from what these roles would write."""
    found = play(host, "ansible/status.yml", "ansible/site.yml", "--check", f"--skip-tags={OTHERS}")
    return [item["what"] for item in found["hosts"][host.backend.host]["drift"]]


@pytest.fixture(scope="module")
def told(host: Host) -> dict[str, Any]:
    return ask(host)


@pytest.fixture(scope="module")
def last(host: Host) -> dict[str, Any]:
    """What the host itself wrote about what it runs."""
    lines = host.check_output("cat /srv/slipway/history.jsonl").splitlines()
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [record for record in records if record["result"] == "good"][-1]


@pytest.fixture
def clean_up(host: Host) -> Iterator[list[str]]:
    """A list of commands to run on the host at the end."""
    commands: list[str] = []
    yield commands
    for command in reversed(commands):
        host.check_output(command)


def test_the_release_that_serves_is_named_with_who_made_it_serve(
    host: Host, told: dict[str, Any], last: dict[str, Any]
) -> None:
    assert told["release"] == host.check_output("basename $(readlink -f /srv/slipway/current/release)")
    assert {name: told[name] for name in ("commit", "by", "kind")} == {
        name: last[name] for name in ("commit", "by", "kind")
    }
    assert told["since"] == last["finished"]


def test_a_healthy_host_is_said_to_be_healthy(host: Host, told: dict[str, Any]) -> None:
    assert told["health"] == {"ok": True, "answer": "200"}
    assert {name: unit["state"] for name, unit in told["processes"].items()} == dict.fromkeys(processes(host), "active")
    assert told["services"]["nginx"]["state"] == "active"
    assert told["migrations"] == {"pending": [], "problem": None}
    assert (told["lock"], told["unfinished"]) == (None, None)


def test_queues_are_as_long_as_the_project_says(host: Host, told: dict[str, Any]) -> None:
    said = host.run("slipway-manage tasks_status --json")
    if said.rc:
        pytest.skip("This release has no `manage.py tasks_status`.")
    assert told["queues"]["reachable"]
    assert set(told["queues"]["queues"]) == set(json.loads(said.stdout)["queues"])


def test_the_certificate_that_nginx_shows_is_dated(host: Host, told: dict[str, Any]) -> None:
    own = host.check_output("openssl x509 -noout -enddate -dateopt iso_8601 -in /etc/ssl/slipway/fullchain.pem")
    assert told["certificate"]["expires"][:19] == own.removeprefix("notAfter=").replace(" ", "T").removesuffix("Z")


def test_the_space_that_releases_have_is_told(host: Host, told: dict[str, Any]) -> None:
    free = int(host.check_output("df --output=avail --block-size=1 /srv/slipway | tail -1"))
    assert told["disk"]["path"] == "/srv/slipway"
    assert abs(told["disk"]["free_bytes"] - free) < 2**30


def test_the_history_ends_with_what_the_host_wrote_last(host: Host) -> None:
    lines = [json.loads(line) for line in host.check_output("cat /srv/slipway/history.jsonl").splitlines()]
    attempts = play(host, "ansible/history.yml")["attempts"]
    assert len(attempts) == min(len(lines), 20)
    assert (attempts[0]["finished"], attempts[0]["result"]) == (lines[-1]["finished"], lines[-1]["result"])
    assert attempts[0]["hosts"] == [host.backend.host]


def test_asking_changes_nothing(host: Host) -> None:
    marker = "/run/asked"
    host.check_output(f"touch {marker}")
    restarts = "systemctl show --property=InvocationID 'slipway-*' nginx 'postgresql@*' rabbitmq-server"
    before = host.check_output(restarts)
    ask(host)
    assert host.check_output(restarts) == before
    assert not host.check_output(f"find /srv/slipway /etc -newer {marker} -not -path '*/__pycache__*'")


def test_a_host_that_was_never_provisioned_is_told_from_one_that_was(host: Host, told: dict[str, Any]) -> None:
    bare = play(host, "ansible/status.yml", "-e", "application_name=other")["hosts"][host.backend.host]
    assert (told["provisioned"], bare["provisioned"]) == (True, False)
    assert bare["release"] is None


@destructive
@pytest.mark.group("worker")
def test_a_worker_that_stopped_is_shown_and_not_started(host: Host, clean_up: list[str]) -> None:
    unit = f"slipway-worker@{slot(host)}.service"
    clean_up.append(f"systemctl start {unit}")
    host.check_output(f"systemctl stop {unit}")
    assert ask(host)["processes"]["worker"]["state"] == "inactive"
    assert host.check_output(f"systemctl show --property=ActiveState --value {unit}") == "inactive"


@destructive
@pytest.mark.group("worker")
def test_a_worker_that_was_started_again_is_counted(host: Host, clean_up: list[str]) -> None:
    unit = f"slipway-worker@{slot(host)}.service"
    clean_up.append(f"systemctl restart {unit}")
    host.check_output(f"systemctl restart {unit} && systemctl kill --signal=KILL {unit}")
    eventually(lambda: host.check_output(f"systemctl show --property=NRestarts --value {unit}") == "1", seconds=20)
    assert ask(host)["processes"]["worker"]["restarts"] == 1


@destructive
def test_web_processes_that_stopped_are_not_started_by_asking(host: Host, site: Site, clean_up: list[str]) -> None:
    unit = f"slipway-web@{slot(host)}.service"
    clean_up.append(f"systemctl start {unit}")
    # Its socket stays open, and would start it for anybody who asks.
    host.check_output("systemctl stop nginx")
    clean_up.append("systemctl start nginx")
    host.check_output(f"systemctl stop {unit}")
    told = ask(host)
    assert told["health"] == {"ok": False, "answer": "not asked: web does not run"}
    assert (told["services"]["nginx"]["state"], told["certificate"]) == ("inactive", None)
    assert host.check_output(f"systemctl show --property=ActiveState --value {unit}") == "inactive"


@destructive
def test_a_migration_that_the_database_does_not_have_is_named(host: Host) -> None:
    app, name = MIGRATION
    where = f"FROM django_migrations WHERE app = '{app}' AND name = '{name}'"
    rows = query(host, f"SELECT count(*) {where}")["rows"]
    assert rows == [[1]]
    query(host, f"DELETE {where}")
    try:
        assert f"{app}.{name}" in ask(host)["migrations"]["pending"]
    finally:
        query(host, f"INSERT INTO django_migrations (app, name, applied) VALUES ('{app}', '{name}', now())")  # noqa: S608


@destructive
@pytest.mark.group("database")
def test_a_database_that_is_away_is_shown(host: Host, clean_up: list[str]) -> None:
    clean_up.append("systemctl start 'postgresql@*-main' postgresql || systemctl start postgresql")
    host.check_output("systemctl stop 'postgresql@*'")
    told = ask(host)
    assert told["services"]["postgresql"]["state"] == "inactive"
    assert told["health"]["answer"].startswith("503 ")
    assert told["migrations"]["pending"] is None
    assert "connection" in told["migrations"]["problem"]


@destructive
def test_maintenance_is_shown(host: Host, clean_up: list[str]) -> None:
    clean_up.append(f"rm {FLAG}")
    host.check_output(f"mkdir -p {Path(FLAG).parent} && touch {FLAG}")
    told = ask(host)["maintenance"]
    assert told["on"]
    since = datetime.datetime.fromisoformat(told["since"])
    assert abs((datetime.datetime.now(datetime.timezone.utc) - since).total_seconds()) < 120


@destructive
def test_an_attempt_that_nobody_ends_is_shown_without_its_token(host: Host, clean_up: list[str]) -> None:
    clean_up.append(f"rm {ATTEMPT}")
    host.check_output(f"echo '{json.dumps(NOBODY)}' > {ATTEMPT}")
    told = ask(host)
    assert told["unfinished"] == {
        "kind": "deploy",
        "release": "0123456789ab",
        "step": "build",
        "by": "anna@laptop",
        "started": None,
    }
    assert told["lock"] is None


@destructive
@pytest.mark.group("worker")
def test_what_was_changed_by_hand_is_drift_and_nothing_else(host: Host, clean_up: list[str]) -> None:
    unit = f"slipway-worker@{slot(host)}.service"
    clean_up += [f"systemctl daemon-reload && systemctl start {unit} nginx", f"sed -i '$d' {UNIT}"]
    clean_up.append(f"mv {COMMAND}.kept {COMMAND}")
    host.check_output(f"echo '# by hand' >> {UNIT} && mv {COMMAND} {COMMAND}.kept && systemctl stop {unit} nginx")
    release = host.check_output("basename $(readlink -f /srv/slipway/current/release)")
    assert ask_drift(host) == [UNIT, COMMAND, f"{release} would start again", "daemon-reload, start"]
