"""Releases that meet another one, or that are killed: what serves is healthy, and the next run puts all right."""

import json
import time
from pathlib import Path

import pytest
from releases import ONE_BY_ONE, Cluster, look
from support import eventually, soak

pytest_plugins = ["releases_fixtures"]
pytestmark = [pytest.mark.destructive, pytest.mark.releases]

# Tasks of a deploy that is killed there.
BEFORE_THE_SWITCH = [soak("Name and pack"), soak("Take the lock"), soak("Write the environment"), soak("Build it")]
AFTER_A_SWITCH = ["Start it", soak("Remove what nothing needs")]


def test_of_two_deploys_at_once_the_second_waits_or_says_for_whom(base: Cluster) -> None:
    one, two = base.others
    first = base.start_deploy(one)
    first.reaches("Build it")
    impatient = base.start_deploy(two, release_lock_wait_seconds=1)
    patient = base.start_deploy(two, release_lock_wait_seconds=120)
    assert impatient.wait().process.returncode != 0
    assert f"deploy of {base.names[one]}" in " ".join(impatient.output.split())
    assert first.wait().process.returncode == 0, first.output
    assert patient.wait().process.returncode == 0, patient.output
    assert "has locked" in patient.output
    base.require(two, kind="deploy")


def test_a_lock_is_shown_and_taken_away(base: Cluster) -> None:
    host = base.hosts[0]
    held = {"token": "elsewhere 1 1", "who": "ada@laptop", "what": "deploy of 0123456789ab", "since": "2026-01-01"}
    host.check_output("printf %s > /srv/slipway/lock.json", json.dumps(held))
    refused = base.deploy(base.others[0], release_lock_wait_seconds=1)
    assert refused.process.returncode != 0
    assert "ada@laptop has locked" in " ".join(refused.output.split())
    freed = base.start("unlock", release_unlock_confirmed=True).wait()
    assert "ada@laptop since 2026-01-01: deploy of 0123456789ab" in " ".join(freed.output.split())
    assert not look(host)["locked"]


# --- killed and started again


@pytest.mark.parametrize("moment", BEFORE_THE_SWITCH + AFTER_A_SWITCH)
def test_a_deploy_that_is_killed_is_finished_by_the_next(base: Cluster, moment: str) -> None:
    name = base.others[0]
    killed = base.start_deploy(name, **ONE_BY_ONE)
    killed.reaches(moment)
    time.sleep(0.5)
    killed.kill()
    assert all(site.get("/health/ready/").status == 200 for site in base.sites)
    done = base.deploy(name)
    assert done.process.returncode == 0, done.output
    base.require(name, kind="deploy")


# Whoever has the file open that keeps two steps apart is the step itself.
KILL = """
for file in /proc/[0-9]*/fd/*; do
    if [ "$(readlink $file)" = /srv/slipway/lock ]; then kill -9 $(echo $file | cut -d/ -f3); fi
done
"""


def test_a_step_that_dies_in_the_time_of_grace_gives_the_traffic_back(base: Cluster) -> None:
    host, before = base.hosts[0], base.now
    slot = look(host)["slot"]
    running = base.start_deploy(base.others[0], release_grace_seconds=60, **ONE_BY_ONE)
    eventually(lambda: look(host)["slot"] != slot, seconds=60)
    host.check_output(KILL)
    running.wait()
    assert running.process.returncode != 0
    base.require(before, kind="deploy", result="failed")


def test_a_host_that_is_away_keeps_the_others_from_a_release(base: Cluster, tmp_path: Path) -> None:
    before, last = base.now, base.hosts[-1]
    records = len(look(base.hosts[0])["history"])
    away = tmp_path / "away.yml"
    away.write_text(
        json.dumps({"all": {"hosts": {last.backend.host: {"ansible_host": "127.0.0.1", "ansible_port": 1}}}})
    )
    done = base.start("deploy", "-i", str(away), application_source_ref=base.names[base.others[0]]).wait()
    assert done.process.returncode != 0
    assert base.serves(before)
    assert len(look(base.hosts[0])["history"]) == records
    assert not look(base.hosts[0])["locked"]


@pytest.mark.soak
def test_a_rollback_that_is_killed_goes_no_further_when_started_again(base: Cluster) -> None:
    start = base.now
    assert base.deploy(base.others[0]).process.returncode == 0
    killed = base.start("rollback", **ONE_BY_ONE)
    killed.reaches("Start it", times=len(base.hosts))
    time.sleep(0.5)
    killed.kill()
    done = base.rollback()
    assert done.process.returncode == 0, done.output
    base.require(start, kind="rollback")


@pytest.mark.soak
def test_another_release_after_a_killed_one_leaves_nothing_of_it(base: Cluster) -> None:
    name = base.others[0]
    killed = base.start_deploy("new column")
    killed.reaches("| Migrate")
    killed.kill()
    done = base.deploy(name)
    # What was migrated stays; the release that knows it never ran.
    assert done.process.returncode == 0, done.output
    base.require(name, kind="deploy")
    results = [record["result"] for record in look(base.hosts[0])["history"][-2:]]
    assert results == ["interrupted", "good"]
    # Nothing is left to migrate for the release that comes back, but something to reverse.
    assert base.deploy("new column").process.returncode == 0
    assert base.rollback(release_reverse_migrations_enabled=True).process.returncode == 0


@pytest.mark.parametrize("moment", [soak("Build it"), "Start it"])
def test_a_host_that_reboots_during_a_deploy_serves_again(base: Cluster, moment: str) -> None:
    name, host = base.others[0], base.hosts[0]
    running = base.start_deploy(name)
    running.reaches(moment)
    time.sleep(1)
    host.run("systemctl reboot")
    running.wait()
    assert eventually(lambda: all(site.get("/health/ready/").status == 200 for site in base.sites), seconds=60)
    done = base.deploy(name)
    assert done.process.returncode == 0, done.output
    base.require(name, kind="deploy")
