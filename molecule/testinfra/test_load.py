"""Changes of release lose no request and no task, and the tests that say so can fail.

All web hosts get load at once, so these tests want one process (pytest without -n).
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import inventory
import pytest
from load import Load, Result, Visitor, account, flood, remove_accounts, summary
from load_changes import (
    CHANGES,
    COMMITS,
    PERIODIC,
    REFUSED,
    TASKS,
    Run,
    is_of_crash,
    journal,
    play,
    report,
    sending,
    switches,
    web_hosts,
)
from releases import make_source
from support import MACHINES, Site, eventually, processes, query, slot
from testinfra.host import Host

# Requests a second to each web host.
RATE = 12
STEADY_SECONDS = 20
INTERVAL = (
    "SELECT every FROM django_celery_beat_intervalschedule schedule JOIN django_celery_beat_periodictask task "
    "ON task.interval_id = schedule.id WHERE task.name = 'sessions-clear-expired'"
)

pytestmark = [
    pytest.mark.releases,
    pytest.mark.destructive,
    pytest.mark.group("web"),
]


@pytest.fixture(autouse=True)
def each_host(host: Host) -> None:
    """Tests of all hosts together are repeated for each, as all tests are; the run is not."""


# --- what is released, and how


@pytest.fixture(scope="session")
def commits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A clone of this repository with commits to release: its folder, and a reference for each name."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    return folder, make_source(folder, COMMITS)


# --- the run


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest, commits: tuple[Path, dict[str, str]]) -> Iterator[Run]:
    """Load on all web hosts, alone at first, then with all changes; and what is left to read afterwards."""
    hosts = request.config.stash[MACHINES]
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


def eventually_or_not(question: Callable[[], object], *, seconds: float) -> None:
    """Wait for it; the tests say what it means when it does not come."""
    try:
        eventually(question, seconds=seconds)
    except AssertionError:
        return


def failures(run: Run, host: Host) -> list[Result]:
    address = inventory.variables(host)["ansible_host"]
    return [result for result in run.results if result.failure and result.site == address]


def test_every_change_ends_as_it_should(run: Run) -> None:
    wrong = [c.output[-1500:] for c in run.changes if (c.code != 0) != (c.name in REFUSED)]
    assert not wrong, "\n".join(wrong)
    assert [change.name for change in run.changes] == CHANGES


def test_no_request_fails(host: Host, run: Run) -> None:
    lost = [result for result in failures(run, host) if not is_of_crash(run, result)]
    assert summary(lost)["failures"] == {}


def test_a_release_that_crashes_after_the_switch_loses_no_more_than_it_held(host: Host, run: Run) -> None:
    """Each web process holds one request; those in the queue wait for the release that comes back."""
    held = int(host.check_output("grep -h ^WEB_CONCURRENCY /srv/slipway/current/environment | tr -dc 0-9"))
    lost = [result for result in failures(run, host) if is_of_crash(run, result)]
    assert len(lost) <= held, summary(lost)["failures"]


def test_no_task_is_lost(run: Run) -> None:
    assert len(run.sent) == TASKS
    assert set(run.sent) - set(run.executed) == set()


def test_hardly_a_task_is_executed_twice(run: Run) -> None:
    """What a worker had in its hands when it went may come again; its effect does not."""
    assert len(run.executed) - len(set(run.executed)) <= run.concurrency


def test_each_task_has_its_effect_once(run: Run) -> None:
    assert run.effects == [[TASKS, TASKS]]


def test_no_periodic_task_is_sent_twice_in_one_interval(run: Run) -> None:
    gaps = [later - earlier for earlier, later in zip(run.ticks, run.ticks[1:], strict=False)]
    assert [gap for gap in gaps if gap < run.interval / 2] == []


def test_periodic_tasks_go_on(run: Run) -> None:
    """A switch may delay one, but none may be left out for long."""
    assert len(run.ticks) > (run.ended - run.began) / run.interval / 2


@pytest.fixture
def visitor(host: Host) -> Iterator[Visitor]:
    yield Visitor(Site.on(host), account(host))
    remove_accounts(host)


@pytest.mark.once
def test_requests_in_the_queue_of_the_old_release_are_answered(
    host: Host, visitor: Visitor, run: Run, commits: tuple[Path, dict[str, str]]
) -> None:
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


@pytest.mark.once
def test_the_load_sees_a_restart_that_closes_the_socket(host: Host, visitor: Visitor) -> None:
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


def move(host: Host, visitor: Visitor, *commands: str) -> list[Result]:
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


@pytest.mark.once
def test_the_load_sees_a_switch_that_does_not_wait_for_the_queue(host: Host, visitor: Visitor) -> None:
    """The same with waiting loses nothing, so it is the waiting that counts."""
    lost = summary(move(host, visitor, SWITCH, STOP))
    kept = summary(move(host, visitor, SWITCH, DRAIN, STOP))
    print("without waiting", json.dumps(lost), "with waiting", json.dumps(kept))
    assert (bool(lost["failures"]), kept["failures"]) == (True, {})
