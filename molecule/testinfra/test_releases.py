"""Releases of several hosts: whatever fails or is killed, what serves is healthy, alone and truthfully recorded."""

import json
import time

import inventory
import pytest
from releases import Cluster, look, make_source
from support import Site, eventually

pytestmark = [pytest.mark.destructive, pytest.mark.releases]

# The old release serves on, and the message says why the new one does not.
BROKEN = {
    "import error": "no such module",
    "missing secret": "PAYMENT_KEY",
    "bad migration": "division by zero",
    "unready": "not ready within 5 s",
    "crash": "after the switch",
}
# Where the controller is killed: the task that has just begun, and for the how many-th time.
MOMENTS = [
    "Name and pack",
    "Take the lock",
    "Write the environment",
    "Build it",
    "Start it",
    "Remove what nothing needs",
]


@pytest.fixture(scope="session")
def cluster(request, tmp_path_factory):
    """All web hosts, on the latest commit."""
    hosts = [machine for machine in request.config.machines if "web" in inventory.groups(machine)]
    sites = [Site.on(host) for host in hosts]
    source = tmp_path_factory.mktemp("source") / "clone"
    return Cluster(request.config.getoption("ansible_inventory"), hosts, sites, source, make_source(source))


@pytest.fixture
def base(cluster):
    """The hosts on the latest commit, as each test finds them."""
    if not cluster.serves("head"):
        back = {"application_rollback_release": cluster.names["head"], "application_reverse_migrations_enabled": True}
        done = cluster.rollback(**back)
        if done.process.returncode:
            done = cluster.deploy("head")
        assert done.process.returncode == 0, done.output
    return cluster


def test_a_deploy_releases_everywhere(base):
    done = base.deploy("good")
    assert done.process.returncode == 0, done.output
    base.require("good", kind="deploy")
    again = base.deploy("good")
    assert "changed, 0 failed" in again.output
    assert " 0 changed" in again.output


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_release_leaves_the_old_one_serving(base, name):
    done = base.deploy(name, application_health_timeout_seconds=5, application_grace_seconds=8)
    assert done.process.returncode != 0
    assert BROKEN[name] in " ".join(done.output.split())
    base.require("head", kind="deploy", result="failed")
    assert base.names[name] not in look(base.hosts[0])["releases"]


def test_a_host_that_fails_brings_all_back(base):
    """The first host has switched when the last one finds its disk full."""
    last = base.hosts[-1]
    # Little room above the releases, so that nothing else of the host suffers.
    last.check_output(
        "mkdir /tmp/small && mount -t tmpfs -o size=512k tmpfs /tmp/small && mkdir /tmp/small/upper /tmp/small/work"
        " && mount -t overlay overlay /srv/slipway/releases"
        " -o lowerdir=/srv/slipway/releases,upperdir=/tmp/small/upper,workdir=/tmp/small/work"
    )
    try:
        done = base.deploy("better")
    finally:
        last.check_output("umount /srv/slipway/releases /tmp/small && rmdir /tmp/small")
    assert done.process.returncode != 0
    assert "No space left on device" in done.output
    base.require("head", kind="deploy", result="failed")


def test_hosts_that_have_switched_go_back_when_a_later_one_is_not_healthy(base):
    last = base.hosts[-1]
    # Here alone no release starts in the idle slot.
    idle = {"blue": "green", "green": "blue"}[look(last)["slot"]]
    last.check_output(f"mkdir -p /etc/systemd/system/slipway-web@{idle}.service.d")
    drop_in = f"/etc/systemd/system/slipway-web@{idle}.service.d/broken.conf"
    last.check_output(f"printf '[Service]\\nExecStartPre=/bin/false\\n' > {drop_in}")
    try:
        done = base.deploy("better")
    finally:
        last.check_output(f"rm -r $(dirname {drop_in}) && systemctl daemon-reload")
    assert done.process.returncode != 0
    if len(base.hosts) > 1:
        assert look(base.hosts[0])["history"][-1]["kind"] == "return"
        base.hosts, all_hosts = base.hosts[1:], base.hosts
        base.require("head", kind="deploy", result="failed")
        base.hosts = all_hosts
    assert base.serves("head")


def test_migrations_run_once_and_are_shown_first(base):
    plan = base.start("deploy", application_source_ref="new-column")
    assert plan.wait().process.returncode == 0, plan.output
    assert plan.output.index("migrates users.0002_nickname") < plan.output.index("| Migrate")
    base.require("new column", kind="deploy")
    ran = [look(host)["history"][-1]["migrations"] for host in base.hosts]
    assert sorted(ran) == sorted([["users.0002_nickname"]] + [[]] * (len(base.hosts) - 1))


def test_a_migration_that_breaks_the_running_release_is_refused(base):
    base.deploy("new column")
    done = base.deploy("dropped column")
    assert done.process.returncode != 0
    assert "users.0003_no_nickname: DROPPING columns" in done.output
    assert "BREAKING=yes" in done.output
    base.require("new column", kind="deploy", result="failed")


def test_a_rollback_past_migrations_names_them_and_runs_them_on_request(base):
    base.deploy("new column")
    refused = base.rollback()
    assert refused.process.returncode != 0
    assert "slipway-manage migrate users 0001_initial" in refused.output
    base.require("new column", kind="rollback", result="failed")
    done = base.rollback(application_reverse_migrations_enabled=True)
    assert done.process.returncode == 0, done.output
    base.require("head", kind="rollback")
    columns = base.hosts[0].check_output("slipway-manage showmigrations users")
    assert "0002" not in columns


def test_two_rollbacks_go_further_back_and_not_forth(base):
    for name in ("good", "better"):
        assert base.deploy(name).process.returncode == 0
    for name in ("good", "head"):
        done = base.rollback()
        assert done.process.returncode == 0, done.output
        base.require(name, kind="rollback")


def test_a_rollback_goes_to_a_named_release(base):
    base.deploy("good")
    base.deploy("better")
    done = base.rollback(application_rollback_release=base.names["head"])
    assert done.process.returncode == 0, done.output
    base.require("head", kind="rollback")


def test_a_rollback_to_a_release_that_never_ran_is_refused(base):
    done = base.rollback(application_rollback_release="0123456789ab")
    assert done.process.returncode != 0
    assert "never ran well on this host" in " ".join(done.output.split())
    assert base.serves("head")


def environment(host, name):
    """The variable of the running web processes."""
    slot = look(host)["slot"]
    pid = host.check_output("systemctl show --property=MainPID --value %s", f"slipway-web@{slot}.service")
    values = host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    return dict(line.split("=", 1) for line in values if "=" in line).get(name)


def test_configuration_is_released_and_rolled_back_like_code(base):
    host = base.hosts[0]
    before = environment(host, "LOG_LEVEL")
    done = base.deploy("head", application_log_level="WARNING")
    assert done.process.returncode == 0, done.output
    assert environment(host, "LOG_LEVEL") == "WARNING"
    base.require("head", kind="deploy")
    assert base.rollback().process.returncode == 0
    assert environment(host, "LOG_LEVEL") == before
    base.require("head", kind="rollback")


# --- more than one at a time


def test_of_two_deploys_at_once_the_second_waits(base):
    first = base.start_deploy("good")
    first.reaches("Build it")
    second = base.start_deploy("better")
    assert first.wait().process.returncode == 0, first.output
    assert second.wait().process.returncode == 0, second.output
    assert "has locked" in second.output
    base.require("better", kind="deploy")


def test_a_deploy_that_will_not_wait_says_for_whom(base):
    first = base.start_deploy("good")
    first.reaches("Build it")
    second = base.deploy("better", application_lock_wait_seconds=1)
    assert second.process.returncode != 0
    assert f"deploy of {base.names['good']}" in " ".join(second.output.split())
    assert first.wait().process.returncode == 0, first.output
    base.require("good", kind="deploy")


def test_a_lock_is_shown_and_taken_away(base):
    host = base.hosts[0]
    held = {"token": "elsewhere 1 1", "who": "ada@laptop", "what": "deploy of 0123456789ab", "since": "2026-01-01"}
    host.check_output("printf %s > /srv/slipway/lock.json", json.dumps(held))
    refused = base.deploy("good", application_lock_wait_seconds=1)
    assert refused.process.returncode != 0
    assert "ada@laptop has locked" in " ".join(refused.output.split())
    freed = base.start("unlock", application_unlock_confirmed=True).wait()
    assert "ada@laptop since 2026-01-01: deploy of 0123456789ab" in " ".join(freed.output.split())
    assert not look(host)["locked"]


# --- killed and started again


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_deploy_that_is_killed_is_finished_by_the_next(base, moment):
    killed = base.start_deploy("good")
    killed.reaches(moment)
    time.sleep(0.5)
    killed.kill()
    assert base.serves("head") or base.serves("good") or len(base.hosts) > 1
    assert all(site.get("/health/ready/").status == 200 for site in base.sites)
    done = base.deploy("good")
    assert done.process.returncode == 0, done.output
    base.require("good", kind="deploy")


def test_another_release_after_a_killed_one_leaves_nothing_of_it(base):
    killed = base.start_deploy("new column")
    killed.reaches("| Migrate")
    killed.kill()
    done = base.deploy("better")
    # What was migrated stays; the release that knows it was never released.
    assert done.process.returncode == 0, done.output
    base.require("better", kind="deploy")
    results = [record["result"] for record in look(base.hosts[0])["history"][-2:]]
    assert results == ["interrupted", "good"]


@pytest.mark.parametrize("moment", ["Build it", "Start it"])
def test_a_host_that_reboots_during_a_deploy_serves_again(base, moment):
    host = base.hosts[0]
    running = base.start_deploy("good")
    running.reaches(moment)
    time.sleep(1)
    host.run("systemctl reboot")
    running.wait()
    assert eventually(lambda: all(site.get("/health/ready/").status == 200 for site in base.sites), seconds=60)
    done = base.deploy("good")
    assert done.process.returncode == 0, done.output
    base.require("good", kind="deploy")
