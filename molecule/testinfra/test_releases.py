"""Releases of several hosts: whatever fails or is killed, what serves is healthy, alone and truthfully recorded."""

import contextlib
import hashlib
import json
import threading
import time
import zlib

import inventory
import pytest
from load import account, remove_accounts
from releases import Cluster, git, look, make_source
from support import Site, eventually, query

pytestmark = [pytest.mark.destructive, pytest.mark.releases]

GOOD = ("head", "good", "better")
# The old release serves on, and the message says why the new one does not.
BROKEN = {
    "import error": "no such module",
    "missing secret": "PAYMENT_KEY",
    "bad migration": "division by zero",
    "unready": "not ready within 5 s",
    "fading": "became unhealthy after the switch: 418",
    "crash": "after the switch",
}
ONE_BY_ONE = {"release_batch_count": 1}
# The tasks before the switch, where a killed deploy leaves the old release serving.
BEFORE_THE_SWITCH = ["Name and pack", "Take the lock", "Write the environment", "Build it"]


@pytest.fixture(scope="module")
def cluster(request, tmp_path_factory):
    """All web hosts, which run the latest commit at the end."""
    hosts = [machine for machine in request.config.machines if "web" in inventory.groups(machine)]
    sites = [Site.on(host) for host in hosts]
    source = tmp_path_factory.mktemp("source") / "clone"
    cluster = Cluster(request.config.getoption("ansible_inventory"), hosts, sites, source, make_source(source))
    yield cluster
    make_good(cluster)
    assert cluster.deploy("head").process.returncode == 0


@pytest.fixture
def base(cluster):
    """The hosts on one good release that brings no migration."""
    make_good(cluster)
    return cluster


@pytest.fixture
def migrated(cluster):
    """The hosts on the release "new column", which they switched to from a good one."""
    if not cluster.serves("new column"):
        make_good(cluster)
        done = cluster.deploy("new column")
        assert done.process.returncode == 0, done.output
    return cluster


def make_good(cluster):
    if cluster.now in GOOD and cluster.serves(cluster.now):
        return
    here = look(cluster.hosts[0])["releases"]
    release = next((cluster.names[name] for name in GOOD if cluster.names[name] in here), cluster.names["head"])
    back = {"release_target": release, "release_reverse_migrations_enabled": True}
    done = cluster.rollback(**back)
    if done.process.returncode:
        done = cluster.deploy("head")
    assert done.process.returncode == 0, done.output


def test_a_deploy_releases_everywhere(base):
    name = base.others[0]
    done = base.deploy(name, **ONE_BY_ONE)
    assert done.process.returncode == 0, done.output
    base.require(name, kind="deploy")
    again = base.deploy(name)
    assert again.output.count(" 0 changed, 0 failed") == len(base.hosts)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_release_leaves_the_old_one_serving(base, name):
    before = base.now
    done = base.deploy(name, application_health_timeout_seconds=5, release_grace_seconds=8, **ONE_BY_ONE)
    assert done.process.returncode != 0
    assert BROKEN[name] in " ".join(done.output.split())
    base.require(before, kind="deploy", result="failed")
    assert base.names[name] not in look(base.hosts[0])["releases"]


@pytest.mark.parametrize("kind", ["repository", "tarball", "checkout with changes"])
def test_a_release_comes_from(base, kind, tmp_path):
    name = base.others[0]
    commit = base.names[name]
    if kind == "repository":
        source = {"application_source_repository": f"file://{base.source}", "application_source_ref": name}
    elif kind == "tarball":
        tarball = tmp_path / "release.tar.gz"
        git(base.source, "archive", "--format=tar.gz", "--prefix=shop/", f"--output={tarball}", commit)
        source = {"application_source_archive": str(tarball)}
        commit = hashlib.sha256(tarball.read_bytes()).hexdigest()[:12]
    else:
        checkout = tmp_path / "checkout"
        git(tmp_path, "clone", "--quiet", str(base.source), str(checkout))
        git(checkout, "checkout", "--quiet", commit)
        (checkout / "app/config/not_committed.py").write_text("# new\n")
        source = {"application_source_path": str(checkout), "application_uncommitted_enabled": True}
    done = base.start("deploy", **source).wait()
    assert done.process.returncode == 0, done.output
    assert base.released.startswith(commit)
    base.names[kind] = base.released
    base.require(kind, kind="deploy")
    if kind == "checkout with changes":
        assert base.hosts[0].file("/srv/slipway/current/release/config/not_committed.py").exists


def test_a_new_host_gets_what_the_others_run(base):
    if base.now == "head":
        assert base.deploy("good").process.returncode == 0
    name, new = base.now, base.hosts[-1]
    new.check_output("systemctl stop 'slipway-*' && rm -r /srv/slipway/*")
    done = base.start("site", "--limit", new.backend.host, "--tags", "application").wait()
    assert done.process.returncode == 0, done.output
    assert look(new)["release"] == base.names[name]
    assert base.serves(name)


def test_the_newest_releases_are_kept_and_nothing_else_of_the_old_ones(base):
    start, (one, two) = base.now, base.others
    host = base.hosts[0]
    assert base.deploy(one).process.returncode == 0
    # By record: neither names nor time stamps count.
    host.check_output("touch -d 2001-01-01 /srv/slipway/releases/%s && mkdir /srv/slipway/venvs/left", base.names[one])
    done = base.deploy(two, release_retention_count=2)
    assert done.process.returncode == 0, done.output
    assert look(host)["releases"] == sorted([base.names[one], base.names[two]])
    assert base.names[start] not in look(host)["releases"]
    assert host.check_output("ls /srv/slipway/venvs").splitlines() == [
        host.check_output("basename $(readlink -f /srv/slipway/current/release/.venv)")
    ]
    assert base.rollback().process.returncode == 0
    base.require(one, kind="rollback")


HOOKS = {
    "before_migrate": "",
    "before_switch": "",
    "after_switch": "- ansible.builtin.fail: {msg: the chat is down}",
    "after_failure": "- ansible.builtin.fail: {msg: the chat is down}",
}
HOOK = """\
---
- ansible.builtin.shell: printf '%s\\n' "{name} {{{{ deployment.change }}}} {{{{ deployment.release }}}}" >> /run/hooks
{more}
"""


@pytest.mark.parametrize("fails", [None, "before_migrate", "before_switch"])
def test_hooks_run_in_order_and_only_those_before_the_switch_can_stop_it(base, fails, tmp_path):
    before, name = base.now, base.others[0]
    for hook, more in HOOKS.items():
        text = HOOK.format(name=hook, more="- ansible.builtin.fail: {msg: not today}" if hook == fails else more)
        (tmp_path / f"{hook}.yml").write_text(text)
    try:
        done = base.deploy(name, release_hooks_path=str(tmp_path))
        ran = [host.check_output("cat /run/hooks").splitlines() for host in base.hosts]
    finally:
        for host in base.hosts:
            host.run("rm -f /run/hooks")
    wanted = {
        None: ["before_migrate", "before_switch", "after_switch"],
        "before_migrate": ["before_migrate", "after_failure"],
        "before_switch": ["before_migrate", "before_switch", "after_failure"],
    }[fails]
    assert ran == [[f"{hook} deploy {base.names[name]}" for hook in wanted]] * len(base.hosts), done.output
    assert (done.process.returncode == 0) == (fails is None), done.output
    if fails:
        assert "not today" in done.output
        base.require(before, kind="deploy", result="failed", why="not today")
    else:
        base.require(name, kind="deploy")


def test_a_full_disk_on_one_host_leaves_all_as_they_were(base):
    last, before = base.hosts[-1], base.now
    # Little room above the releases, so that nothing else of the host suffers.
    last.check_output(
        "mkdir /tmp/small && mount -t tmpfs -o size=512k tmpfs /tmp/small && mkdir /tmp/small/upper /tmp/small/work"
        " && mount -t overlay overlay /srv/slipway/releases"
        " -o lowerdir=/srv/slipway/releases,upperdir=/tmp/small/upper,workdir=/tmp/small/work"
    )
    try:
        done = base.deploy("too much")
    finally:
        last.check_output("umount /srv/slipway/releases /tmp/small && rmdir /tmp/small")
    assert done.process.returncode != 0
    assert "No space left on device" in done.output
    base.require(before, kind="deploy", result="failed")


def test_hosts_that_have_switched_go_back_when_a_later_one_is_not_healthy(base):
    last, before = base.hosts[-1], base.now
    # Here alone no release starts in the idle slot.
    idle = {"blue": "green", "green": "blue"}[look(last)["slot"]]
    drop_in = f"/etc/systemd/system/slipway-web@{idle}.service.d/broken.conf"
    last.check_output(f"mkdir $(dirname {drop_in}) && printf '[Service]\\nExecStartPre=/bin/false\\n' > {drop_in}")
    try:
        done = base.deploy(base.others[0], **ONE_BY_ONE)
    finally:
        last.check_output(f"rm -r $(dirname {drop_in}) && systemctl daemon-reload")
    assert done.process.returncode != 0
    assert base.serves(before)
    records = [look(host)["history"][-1] for host in base.hosts]
    assert [(r["kind"], r["result"]) for r in records] == [("return", "good")] * (len(records) - 1) + [
        ("deploy", "failed")
    ]
    assert {look(host)["release"] for host in base.hosts} == {base.names[before]}


def test_migrations_run_once_and_are_shown_first(base):
    plan = base.start("deploy", application_source_ref="new-column")
    assert plan.wait().process.returncode == 0, plan.output
    assert plan.output.index("migrates users.0002_nickname") < plan.output.index("| Migrate")
    base.require("new column", kind="deploy")
    ran = [look(host)["history"][-1]["migrations"] for host in base.hosts]
    assert sorted(ran) == sorted([["users.0002_nickname"]] + [[]] * (len(base.hosts) - 1))


def has_column(host):
    """Whether the migration of the release "new column" is applied; only that release's own code would list it."""
    return query(host, "SELECT count(*) FROM django_migrations WHERE name = '0002_nickname'")["rows"][0][0] == 1


def test_a_migration_that_breaks_the_running_release_is_refused(migrated):
    done = migrated.deploy("dropped column")
    assert done.process.returncode != 0
    assert "users.0003_no_nickname: DROPPING columns" in done.output
    assert "BREAKING=yes" in done.output
    migrated.require("new column", kind="deploy", result="failed")


def test_a_rollback_past_migrations_names_them_and_runs_them_on_request(migrated):
    before = migrated.before
    refused = migrated.rollback()
    assert refused.process.returncode != 0
    assert "slipway-manage migrate users 0001_initial" in refused.output
    migrated.require("new column", kind="rollback", result="failed")
    done = migrated.rollback(release_reverse_migrations_enabled=True)
    assert done.process.returncode == 0, done.output
    migrated.require(before, kind="rollback")
    assert not has_column(migrated.hosts[0])


@contextlib.contextmanager
def held(host, statement):
    """Somebody else's transaction with this lock, on the database of the application."""
    sql = f"/* holds */ BEGIN; {statement}; SELECT pg_sleep(120)"
    holder = threading.Thread(target=lambda: query(host, sql))
    holder.start()
    found = "FROM pg_stat_activity WHERE query LIKE '/* holds */%'"
    try:
        eventually(lambda: query(host, f"SELECT count(*) {found} AND wait_event = 'PgSleep'")["rows"][0][0], seconds=20)
        yield
    finally:
        query(host, f"SELECT pg_terminate_backend(pid) {found}")
        holder.join()


@pytest.fixture
def cookie(base):
    """Of a person who is logged in."""
    host = base.hosts[0]
    yield base.sites[0].login(account(host)).session_cookie
    remove_accounts(host)


def test_a_migration_that_waits_for_a_lock_in_vain_does_not_stop_the_site(base, cookie):
    host, site, before = base.hosts[0], base.sites[0], base.now
    patience = {"release_migration_lock_timeout_seconds": 1, "release_migration_attempts_count": 2}
    with held(host, "LOCK TABLE users_user IN ACCESS SHARE MODE"):
        running = base.start_deploy("new column", **patience)
        running.reaches("| Migrate")
        slowest = 0
        while running.process.poll() is None:
            began = time.monotonic()
            assert site.get("/api/auth/me/", cookie=cookie).status == 200
            slowest = max(slowest, time.monotonic() - began)
        running.wait()
    assert running.process.returncode != 0
    assert "did not get the lock it needs in 2 attempts" in " ".join(running.output.split())
    # Requests stood behind the migration for as long as it may wait, and no longer.
    assert 0.5 < slowest < 5
    base.require(before, kind="deploy", result="failed")


def test_a_migration_waits_while_another_one_runs(base):
    host = base.hosts[0]
    began = host.check_output("date +%s")
    lock = zlib.crc32(b"django-migrations")
    with held(host, f"SELECT pg_advisory_lock({lock})"):
        running = base.start_deploy("new column")
        running.reaches("| Migrate")
        waiting = f"journalctl -u 'slipway-release@*' --since=@{began} -g 'Another run migrates'"
        eventually(lambda: host.run(waiting).rc == 0, seconds=30)
        assert running.process.poll() is None
        assert not has_column(host)
    assert running.wait().process.returncode == 0, running.output
    base.require("new column", kind="deploy")


def test_a_rollback_that_is_killed_after_the_switch_reverses_when_started_again(migrated):
    before, host = migrated.before, migrated.hosts[0]
    killed = migrated.start("rollback", release_reverse_migrations_enabled=True)
    killed.reaches("Reverse what")
    killed.kill()
    assert has_column(host)
    done = migrated.rollback(release_reverse_migrations_enabled=True)
    assert done.process.returncode == 0, done.output
    assert not has_column(host)
    migrated.require(before, kind="rollback")


def test_a_reversal_that_fails_leaves_the_release_serving_and_is_made_up_for(migrated):
    before, host = migrated.before, migrated.hosts[0]
    asked = {"release_reverse_migrations_enabled": True, "release_migration_attempts_count": 1}
    with held(host, "LOCK TABLE users_user IN ACCESS SHARE MODE"):
        failed = migrated.rollback(**asked, release_migration_lock_timeout_seconds=1)
    assert failed.process.returncode != 0
    assert "did not get the lock" in failed.output
    assert "`make rollback REVERSE=yes` has still to reverse users to 0001_initial" in " ".join(failed.output.split())
    assert migrated.serves(before)
    assert has_column(host)
    assert not look(host)["locked"]
    done = migrated.rollback(**asked)
    assert done.process.returncode == 0, done.output
    assert not has_column(host)
    migrated.require(before, kind="rollback")


def test_rollbacks_go_further_back_and_never_forth_unless_told(base):
    start, (one, two) = base.now, base.others
    for name in (one, two):
        assert base.deploy(name).process.returncode == 0
    for name in (one, start):
        done = base.rollback()
        assert done.process.returncode == 0, done.output
        base.require(name, kind="rollback")
    done = base.rollback(release_target=base.names[two])
    assert done.process.returncode == 0, done.output
    base.require(two, kind="rollback")


def test_a_rollback_to_a_release_that_never_ran_is_refused(base):
    before = base.now
    done = base.rollback(release_target="0123456789ab")
    assert done.process.returncode != 0
    assert "never ran well on this host" in " ".join(done.output.split())
    assert base.serves(before)


def environment(host, name):
    """The variable of the running web processes."""
    slot = look(host)["slot"]
    pid = host.check_output("systemctl show --property=MainPID --value %s", f"slipway-web@{slot}.service")
    values = host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    return dict(line.split("=", 1) for line in values if "=" in line).get(name)


def test_configuration_is_released_and_rolled_back_like_code(base):
    host, name = base.hosts[0], base.now
    before = environment(host, "LOG_LEVEL")
    done = base.deploy(name, application_log_level="WARNING")
    assert done.process.returncode == 0, done.output
    assert environment(host, "LOG_LEVEL") == "WARNING"
    base.require(name, kind="deploy")
    assert base.rollback().process.returncode == 0
    assert environment(host, "LOG_LEVEL") == before
    base.require(name, kind="rollback")


# --- more than one at a time


def test_of_two_deploys_at_once_the_second_waits_or_says_for_whom(base):
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


def test_a_lock_is_shown_and_taken_away(base):
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


def finish_after_kills(base, *moments):
    name = base.others[0]
    for moment in moments:
        killed = base.start_deploy(name, **ONE_BY_ONE)
        killed.reaches(moment)
        time.sleep(0.5)
        killed.kill()
        assert all(site.get("/health/ready/").status == 200 for site in base.sites)
    done = base.deploy(name)
    assert done.process.returncode == 0, done.output
    base.require(name, kind="deploy")


def test_a_deploy_that_is_killed_at_each_step_before_the_switch_is_finished_by_the_next(base):
    finish_after_kills(base, *BEFORE_THE_SWITCH)


@pytest.mark.parametrize("moment", ["Start it", "Remove what nothing needs"])
def test_a_deploy_that_is_killed_after_a_switch_is_finished_by_the_next(base, moment):
    finish_after_kills(base, moment)


# Whoever has the file open that keeps two steps apart is the step itself.
KILL = """
for file in /proc/[0-9]*/fd/*; do
    if [ "$(readlink $file)" = /srv/slipway/lock ]; then kill -9 $(echo $file | cut -d/ -f3); fi
done
"""


def test_a_step_that_dies_in_the_time_of_grace_gives_the_traffic_back(base):
    host, before = base.hosts[0], base.now
    slot = look(host)["slot"]
    running = base.start_deploy(base.others[0], release_grace_seconds=60, **ONE_BY_ONE)
    eventually(lambda: look(host)["slot"] != slot, seconds=60)
    host.check_output(KILL)
    running.wait()
    assert running.process.returncode != 0
    base.require(before, kind="deploy", result="failed")


def test_a_host_that_is_away_keeps_the_others_from_a_release(base, tmp_path):
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


def test_a_rollback_that_is_killed_goes_no_further_when_started_again(base):
    start = base.now
    assert base.deploy(base.others[0]).process.returncode == 0
    killed = base.start("rollback", **ONE_BY_ONE)
    killed.reaches("Start it", times=len(base.hosts))
    time.sleep(0.5)
    killed.kill()
    done = base.rollback()
    assert done.process.returncode == 0, done.output
    base.require(start, kind="rollback")


def test_another_release_after_a_killed_one_leaves_nothing_of_it(base):
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


@pytest.mark.parametrize("moment", ["Build it", "Start it"])
def test_a_host_that_reboots_during_a_deploy_serves_again(base, moment):
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
