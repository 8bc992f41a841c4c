"""Twenty changes of release lose no request and no task, and the tests that say so can fail.

All web hosts get load at once, so these tests want one process (pytest without -n).
"""

import contextlib
import json
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import inventory
import pytest
from load import Load, Visitor, account, flood, remove_accounts, summary
from releases import NEW_COLUMN, UNREADY, make_source
from support import Site, eventually, processes, query, slot

ROOT = Path(__file__).parents[2]
REPORT = ROOT / ".cache" / "load.json"
# Requests a second to each web host.
RATE = 12
STEADY_SECONDS = 20
TASKS = 1000
TASKS_GROUP = 50
TASKS_PAUSE_SECONDS = 0.15
GRACE_SECONDS = 3
PERIODIC = "sessions-clear-expired"
INTERVAL = (
    "SELECT every FROM django_celery_beat_intervalschedule schedule JOIN django_celery_beat_periodictask task "
    "ON task.interval_id = schedule.id WHERE task.name = 'sessions-clear-expired'"
)

CRASH = """
import os, threading, time


def crash():
    mine = os.getcwd()
    while os.path.realpath("/srv/slipway/current/release") != mine:
        time.sleep(0.1)
    time.sleep(5)
    os._exit(1)


threading.Thread(target=crash, daemon=True).start()
"""
COMMITS = {
    "one": (None, {"config/urls.py": "# one\n"}),
    "wide": ("one", NEW_COLUMN),
    "two": ("wide", {"config/urls.py": "# two\n"}),
    "unready": ("two", UNREADY),
    "crashing": ("two", {"config/wsgi.py": CRASH}),
}

# What is done during the load, in this order: a commit to deploy, or a rollback.
CHANGES = [
    *("one", "head", "one", "rollback", "one", "head", "one", "unready"),
    *("wide", "two", "rollback", "two", "wide", "two", "crashing"),
    *("wide", "rollback", "wide", "two", "rollback to head"),
]
REFUSED = {"unready", "crashing"}

# Runs on a host: a group of tasks each time that the traffic moves, while the old worker ends and the new one begins;
# the rest when standard input ends.
SEND = """
import os, select, sys, time
from uuid import uuid4
from django.utils import timezone
from styleguide_example.authentication.tasks import login_record
from styleguide_example.users.models import User

user = User.objects.get(email="{email}")
current, number = None, 0
while number < {count}:
    over = select.select([sys.stdin], [], [], 0.1)[0]
    if os.readlink("/srv/slipway/current") == current and not over:
        continue
    current = os.readlink("/srv/slipway/current")
    for number in range(number, {count} if over else min(number + {group}, {count})):
        name = "{prefix}%04d" % number
        arguments = {{"record_id": str(uuid4()), "user_id": user.id, "request_id": name}}
        arguments["occurred_at"] = timezone.now().isoformat()
        while True:
            # What the broker did not confirm in time is sent again, as the same task.
            try:
                login_record.apply_async(task_id=name, kwargs=arguments)
                break
            except Exception as problem:
                print(type(problem).__name__, file=sys.stderr, flush=True)
                time.sleep(1)
        print(name, flush=True)
        time.sleep(0 if over else {pause})
    number += 1
"""

pytestmark = [
    pytest.mark.releases,
    pytest.mark.destructive,
    pytest.mark.group("web"),
]


@dataclass(frozen=True)
class Change:
    name: str
    began: float
    ended: float
    code: int
    output: str


@dataclass(frozen=True, repr=False)
class Run:
    """What the load, the changes and the hosts' journals say about one run."""

    results: list
    changes: list
    sent: list
    executed: list
    ticks: list
    effects: list
    interval: float
    concurrency: int
    began: float
    ended: float


@pytest.fixture(autouse=True)
def each_host(host):
    """Tests of all hosts together are repeated for each, as all tests are; the run is not."""


# --- what is released, and how


@pytest.fixture(scope="session")
def commits(tmp_path_factory):
    """A clone of this repository with commits to release: its folder, and a reference for each name."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    return folder, make_source(folder, COMMITS)


def web_hosts(config):
    return [host for host in config.machines if "web" in inventory.groups(host)]


def play(name, host, commits, grace_seconds=GRACE_SECONDS):
    """Make one change to all hosts, as an operator would."""
    folder, references = commits
    values = {"application_source_path": str(folder), "release_grace_seconds": grace_seconds}
    if name == "rollback to head":
        values["release_target"] = references["head"]
        values["release_reverse_migrations_enabled"] = True
    elif name != "rollback":
        values["application_source_ref"] = references[name]
    if name == "unready":
        values["application_health_timeout_seconds"] = 8
    if name == "crashing":
        values["release_grace_seconds"] = 10
    playbook = "ansible/rollback.yml" if name.startswith("rollback") else "ansible/deploy.yml"
    # Who deploys sits at another machine, and takes nothing of the processors that serve.
    program = ["nice", "-n", "19", Path(sys.executable).with_name("ansible-playbook")]
    command = [*program, "-i", inventory.variables(host)["inventory_dir"]]
    began = time.time()
    done = subprocess.run(
        [*command, playbook, "-e", json.dumps(values)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return Change(name, began, time.time(), done.returncode, done.stdout + done.stderr)


# --- tasks and ticks


@contextlib.contextmanager
def sending(host, email, prefix):
    """Queue numbered tasks from a host meanwhile; the list gets the names that the broker confirmed."""
    code = SEND.format(email=email, prefix=prefix, count=TASKS, group=TASKS_GROUP, pause=TASKS_PAUSE_SECONDS)
    user = inventory.variables(host)["ansible_user"]
    command = [*inventory.ssh(host), "-l", user, f"sudo slipway-manage shell -c {shlex.quote(code)}"]
    sent = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        yield sent
        output, _ = sender.communicate()
    sent += [line for line in output.splitlines() if line.startswith(prefix)]


def journal(hosts, unit, since):
    """The JSON events that the units of this pattern wrote on all hosts, each with its `at`."""
    command = f"journalctl --output=json --unit='{unit}' --since=@{int(since)}"
    entries = [json.loads(line) for host in hosts for line in host.check_output(command).splitlines()]
    messages = [(entry, str(entry.get("MESSAGE", ""))) for entry in entries]
    return [
        {**json.loads(text), "at": int(entry["__REALTIME_TIMESTAMP"]) / 1e6}
        for entry, text in messages
        if text.startswith("{")
    ]


def switches(hosts, since):
    """When two slots ran side by side: from the opening of the new one's socket to the end of the old one."""
    found = []
    for host in hosts:
        command = f"journalctl --output=json --unit='slipway-web@*' --since=@{int(since)} _PID=1"
        opened = None
        for entry in map(json.loads, host.check_output(command).splitlines()):
            at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            what = (entry.get("JOB_TYPE"), entry.get("JOB_RESULT"), entry.get("UNIT", "").rpartition(".")[2])
            if what == ("start", "done", "socket"):
                opened = at
            elif what == ("stop", "done", "service") and opened:
                found.append((inventory.variables(host)["ansible_host"], opened, at))
                opened = None
    return found


# --- the run


@pytest.fixture(scope="session")
def run(request, commits):
    """Load on all web hosts, alone at first, then with all changes; and what is left to read afterwards."""
    hosts = request.config.machines
    sites = web_hosts(request.config)
    accounts = {host: account(host) for host in sites}
    visitors = [Visitor(Site.on(host), accounts[host]) for host in sites]
    first = sites[0]
    prefix = f"load-{int(time.time())}-"
    changes = []
    began = time.time()
    with Load(visitors, RATE), sending(first, accounts[first].email, prefix) as sent:
        time.sleep(STEADY_SECONDS)
        steady_until = time.time()
        for name in CHANGES:
            changes.append(play(name, first, commits))
            failed = [result for visitor in visitors for result in visitor.results if result.failure]
            seconds = changes[-1].ended - changes[-1].began
            print(f"{name}: ended with {changes[-1].code} in {seconds:.1f} s, {len(failed)} failures", flush=True)
        ended = time.time()
    workers = [host for host in hosts if "worker" in processes(host)]
    count = f"SELECT count(*) FROM users_loginrecord WHERE request_id LIKE '{prefix}%'"  # noqa: S608 - a number
    eventually_or_not(lambda: query(first, count)["rows"][0][0] >= len(sent), seconds=30)
    done = [event for event in journal(workers, "slipway-worker@*", began) if event["message"] == "task_succeeded"]
    beats = [host for host in hosts if "beat" in processes(host)]
    ticks = sorted(event["at"] for event in journal(beats, "slipway-beat@*", began) if PERIODIC in event["message"])
    effects = f"SELECT count(*), count(DISTINCT request_id) FROM users_loginrecord WHERE request_id LIKE '{prefix}%'"  # noqa: S608
    concurrency = "grep -h ^WORKER_CONCURRENCY /srv/slipway/current/environment | tr -dc 0-9"
    result = Run(
        results=[result for visitor in visitors for result in visitor.results],
        changes=changes,
        sent=sent,
        executed=[event["task_id"] for event in done if event.get("task_id", "").startswith(prefix)],
        ticks=ticks,
        effects=query(first, effects)["rows"],
        interval=query(first, INTERVAL)["rows"][0][0],
        concurrency=sum(int(host.check_output(concurrency)) for host in workers),
        began=began,
        ended=ended,
    )
    report(result, switches(sites, began), steady_until)
    yield result
    remove_accounts(first)
    for host in sites[1:]:
        remove_accounts(host)


def eventually_or_not(question, *, seconds):
    """Wait for it; the tests say what it means when it does not come."""
    try:
        eventually(question, seconds=seconds)
    except AssertionError:
        return


def report(run, windows, steady_until):
    """Latencies are no promise on a machine that runs everything: they are printed and kept, not asserted."""

    def during(window):
        site, opened, closed = window
        return [r for r in run.results if r.site == site and r.due < closed and r.due + r.seconds > opened]

    steady = [result for result in run.results if result.due < steady_until]
    changing = [result for result in run.results if result.due >= steady_until]
    gaps = [later - earlier for earlier, later in zip(run.ticks, run.ticks[1:], strict=False)]
    content = {
        "steady": summary(steady),
        "changing": summary(changing),
        "switching": summary({result for window in windows for result in during(window)}),
        "p99_ms_of_each_switch": [summary(during(window))["p99_ms"] for window in windows],
        "failures_of_a_crashing_release": len([r for r in run.results if r.failure and is_of_crash(run, r)]),
        "changes": [[each.name, each.code, round(each.ended - each.began, 1)] for each in run.changes],
        "tasks": {
            "sent": len(run.sent),
            "lost": len(set(run.sent) - set(run.executed)),
            "executed_again": len(run.executed) - len(set(run.executed)),
        },
        "ticks": {
            "count": len(run.ticks),
            "interval": run.interval,
            "shortest_gap": round(min(gaps, default=0), 2),
            "longest_gap": round(max(gaps, default=0), 2),
        },
        "seconds": round(run.ended - run.began),
    }
    REPORT.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


def is_of_crash(run, result):
    """Whether a request met the release that was made to crash, which may lose what it held."""
    return any(
        change.name == "crashing" and result.due < change.ended and result.due + result.seconds > change.began
        for change in run.changes
    )


def failures(run, host):
    address = inventory.variables(host)["ansible_host"]
    return [result for result in run.results if result.failure and result.site == address]


def test_every_change_ends_as_it_should(run):
    wrong = [c.output[-1500:] for c in run.changes if (c.code != 0) != (c.name in REFUSED)]
    assert not wrong, "\n".join(wrong)
    assert len(run.changes) == 20


def test_no_request_fails(host, run):
    lost = [result for result in failures(run, host) if not is_of_crash(run, result)]
    assert summary(lost)["failures"] == {}


def test_a_release_that_crashes_after_the_switch_loses_no_more_than_it_held(host, run):
    """Each web process holds one request; those in the queue wait for the release that comes back."""
    held = int(host.check_output("grep -h ^WEB_CONCURRENCY /srv/slipway/current/environment | tr -dc 0-9"))
    lost = [result for result in failures(run, host) if is_of_crash(run, result)]
    assert len(lost) <= held, summary(lost)["failures"]


def test_no_task_is_lost(run):
    assert len(run.sent) == TASKS
    assert set(run.sent) - set(run.executed) == set()


def test_hardly_a_task_is_executed_twice(run):
    """What a worker had in its hands when it went may come again; its effect does not."""
    assert len(run.executed) - len(set(run.executed)) <= run.concurrency


def test_each_task_has_its_effect_once(run):
    assert run.effects == [[TASKS, TASKS]]


def test_no_periodic_task_is_sent_twice_in_one_interval(run):
    gaps = [later - earlier for earlier, later in zip(run.ticks, run.ticks[1:], strict=False)]
    assert [gap for gap in gaps if gap < run.interval / 2] == []


def test_periodic_tasks_go_on(run):
    """A switch may delay one, but none may be left out for long."""
    assert len(run.ticks) > (run.ended - run.began) / run.interval / 2


@pytest.fixture
def visitor(host):
    yield Visitor(Site.on(host), account(host))
    remove_accounts(host)


def test_requests_in_the_queue_of_the_old_release_are_answered(host, visitor, run, commits):
    """With next to no time of grace, they still wait there when the old release is about to stop."""
    ends = []
    serving = host.check_output("basename $(readlink -f /srv/slipway/current/release)")
    name = "one" if commits[1]["head"] == serving else "head"
    deploy = threading.Thread(target=lambda: ends.append(play(name, host, commits, grace_seconds=1)))
    deploy.start()
    socket = f"/run/slipway/{OTHER[slot(host)]}.sock"
    eventually(lambda: ends or host.run(f"test -S {socket}").rc == 0, seconds=120)
    with flood(visitor, clients=80):
        deploy.join()
    assert ends[0].code == 0, ends[0].output[-1500:]
    print(json.dumps(summary(visitor.results)))
    assert summary(visitor.results)["failures"] == {}


# --- the tests above can fail


def test_the_load_sees_a_restart_that_closes_the_socket(host, visitor):
    units = "slipway-web@{0}.socket slipway-web@{0}.service".format(slot(host))
    with Load([visitor], RATE):
        time.sleep(2)
        host.check_output(f"systemctl stop {units} && systemctl start {units}")
        eventually(lambda: visitor.site.get("/health/ready/").status == 200, seconds=30)
        time.sleep(2)
    lost = summary(visitor.results)
    print("restarted", json.dumps(lost))
    assert lost["failures"]


# The release that serves, in the other slot, too.
OPEN = """
cd /srv/slipway && mkdir -p slots/{new} && cp slots/{old}/definitions slots/{new}/definitions
for link in release environment; do ln -sfn "$(readlink slots/{old}/$link)" slots/{new}/$link; done
ln -sfn /run/slipway/{new}.sock slots/{new}/web.sock
systemctl start slipway-web@{new}.socket slipway-web@{new}.service
"""
SWITCH = "cd /srv/slipway && ln -sfn slots/{new} switching && mv -T switching current"
DRAIN = """
empty=0
while [ $empty -lt 4 ]; do
    queued=$(ss -xlnH src unix:/run/slipway/{old}.sock | tr -s ' ' | cut -d' ' -f3)
    if [ "$queued" = 0 ]; then empty=$((empty + 1)); else empty=0; fi
    sleep 0.05
done
"""
STOP = "systemctl stop slipway-web@{old}.socket; systemctl stop slipway-web@{old}.service"
OTHER = {"blue": "green", "green": "blue"}


def move(host, visitor, *commands):
    """Give the traffic to the other slot by these commands while requests stand in the queue; returns what came."""
    old = slot(host)
    names = {"old": old, "new": OTHER[old]}
    host.check_output(OPEN.format(**names))
    path = f"/run/slipway/{names['new']}.sock"
    eventually(lambda: "200" in host.run(ASK.format(path=path, host=visitor.site.domain)).stdout, seconds=30)
    before = len(visitor.results)
    with flood(visitor):
        time.sleep(2)
        host.check_output("\n".join(command.format(**names) for command in commands))
    return visitor.results[before:]


ASK = """python3 -c '
import socket
link = socket.socket(socket.AF_UNIX)
link.connect("{path}")
link.sendall(b"GET /health/ready/ HTTP/1.0\\r\\nHost: {host}\\r\\nX-Forwarded-Proto: https\\r\\n\\r\\n")
print(link.recv(99))'
"""


def test_the_load_sees_a_switch_that_does_not_wait_for_the_queue(host, visitor):
    """The same with waiting loses nothing, so it is the waiting that counts."""
    lost = summary(move(host, visitor, SWITCH, STOP))
    kept = summary(move(host, visitor, SWITCH, DRAIN, STOP))
    print("without waiting", json.dumps(lost), "with waiting", json.dumps(kept))
    assert (bool(lost["failures"]), kept["failures"]) == (True, {})
