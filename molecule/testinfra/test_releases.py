"""Releases of several hosts: whatever fails, what serves is healthy, alone and truthfully recorded."""

import contextlib
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import inventory
import pytest
from load import account, remove_accounts
from releases import ONE_BY_ONE, Cluster, look
from support import Secret, Site, eventually, query, soak
from testinfra.host import Host

pytest_plugins = ["releases_fixtures"]
pytestmark = [pytest.mark.destructive, pytest.mark.releases]

# The old release serves on, and the message says why the new one does not.
BROKEN = {
    "import error": "no such module",
    "missing secret": "PAYMENT_KEY",
    "bad migration": "division by zero",
    "fading": "became unhealthy after the switch: 418",
}


def test_a_deploy_from_a_repository_releases_everywhere(base: Cluster) -> None:
    name = base.others[0]
    source = {"application_source_repository": f"file://{base.source}", "application_source_ref": name}
    done = base.start("deploy", **source, **ONE_BY_ONE).wait()
    assert done.process.returncode == 0, done.output
    base.require(name, kind="deploy")
    again = base.deploy(name)
    assert again.output.count(" 0 changed, 0 failed") == len(base.hosts)


@pytest.mark.parametrize("name", [soak("missing secret"), "import error", "bad migration", soak("fading")])
def test_a_broken_release_leaves_the_old_one_serving(base: Cluster, name: str) -> None:
    before = base.now
    done = base.deploy(name, application_health_timeout_seconds=5, release_grace_seconds=8, **ONE_BY_ONE)
    assert done.process.returncode != 0
    assert BROKEN[name] in " ".join(done.output.split())
    base.require(before, kind="deploy", result="failed")
    assert base.names[name] not in look(base.hosts[0])["releases"]


def test_a_new_host_gets_what_the_others_run(base: Cluster) -> None:
    if base.now == "head":
        assert base.deploy("good").process.returncode == 0
    name, new = base.now, base.hosts[-1]
    new.check_output("systemctl stop 'slipway-*' && rm -r /srv/slipway/*")
    done = base.start("site", "--limit", new.backend.host, "--tags", "application,release").wait()
    assert done.process.returncode == 0, done.output
    assert look(new)["release"] == base.names[name]
    assert base.serves(name)


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


@pytest.mark.parametrize("fails", [None, soak("before_migrate"), "before_switch"])
def test_hooks_run_in_order_and_only_those_before_the_switch_can_stop_it(
    base: Cluster, fails: str | None, tmp_path: Path
) -> None:
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


def test_a_full_disk_on_one_host_leaves_all_as_they_were(base: Cluster) -> None:
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


def test_hosts_that_have_switched_go_back_when_a_later_one_is_not_healthy(base: Cluster) -> None:
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


def test_migrations_run_once_and_are_shown_first(base: Cluster) -> None:
    plan = base.start("deploy", application_source_ref="new-column")
    assert plan.wait().process.returncode == 0, plan.output
    assert plan.output.index("migrates users.0002_nickname") < plan.output.index("| Migrate")
    base.require("new column", kind="deploy")
    ran = [look(host)["history"][-1]["migrations"] for host in base.hosts]
    assert sorted(ran) == sorted([["users.0002_nickname"]] + [[]] * (len(base.hosts) - 1))


def has_column(host: Host) -> bool:
    """Whether the migration of the release "new column" is applied; only that release's own code would list it."""
    return bool(query(host, "SELECT count(*) FROM django_migrations WHERE name = '0002_nickname'")["rows"] == [[1]])


def test_a_migration_that_breaks_the_running_release_is_refused(migrated: Cluster) -> None:
    done = migrated.deploy("dropped column")
    assert done.process.returncode != 0
    output = " ".join(done.output.split())
    assert 'users.0003_no_nickname: `ALTER TABLE "users_user" DROP COLUMN "nickname" CASCADE` drops a column' in output
    assert "BREAKING=yes" in done.output
    migrated.require("new column", kind="deploy", result="failed")


def test_a_rollback_past_migrations_names_them_and_runs_them_on_request(migrated: Cluster) -> None:
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
def held(host: Host, statement: str) -> Iterator[None]:
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
def cookie(base: Cluster) -> Iterator[Secret]:
    """Of a person who is logged in."""
    host = base.hosts[0]
    yield base.sites[0].login(account(host)).session_cookie
    remove_accounts(host)


def test_a_migration_that_waits_for_a_lock_in_vain_does_not_stop_the_site(base: Cluster, cookie: Secret) -> None:
    host, site, before = base.hosts[0], base.sites[0], base.now
    patience = {"release_migration_lock_timeout_seconds": 1, "release_migration_attempts_count": 2}
    with held(host, "LOCK TABLE users_user IN ACCESS SHARE MODE"):
        running = base.start_deploy("new column", **patience)
        running.reaches("| Migrate")
        slowest = 0.0
        while running.process.poll() is None:
            began = time.monotonic()
            assert site.get("/api/auth/me/", cookie=cookie).status == 200
            slowest = max(slowest, time.monotonic() - began)
        running.wait()
    assert running.process.returncode != 0
    output = " ".join(running.output.split())
    assert "did not get the lock it needs in 2 attempts" in output
    assert "waited for session" in output
    # Requests stood behind the migration for as long as it may wait, and no longer.
    assert 0.5 < slowest < 5
    base.require(before, kind="deploy", result="failed")


def test_a_migration_waits_while_another_one_runs(base: Cluster) -> None:
    host = base.hosts[0]
    began = host.check_output("date +%s")
    lock = zlib.crc32(b"django-migrations")
    with held(host, f"SELECT pg_advisory_lock({lock})"):
        running = base.start_deploy("new column")
        running.reaches("| Migrate")
        waiting = f"journalctl -u 'slipway-release@*' --since=@{began} -g 'Another run migrates'"
        # A step of a release gives way to everything else that wants the processor.
        eventually(lambda: host.run(waiting).rc == 0, seconds=90)
        assert running.process.poll() is None
        assert not has_column(host)
    assert running.wait().process.returncode == 0, running.output
    base.require("new column", kind="deploy")


def test_a_rollback_that_is_killed_after_the_switch_reverses_when_started_again(migrated: Cluster) -> None:
    before, host = migrated.before, migrated.hosts[0]
    killed = migrated.start("rollback", release_reverse_migrations_enabled=True)
    killed.reaches("Reverse what")
    killed.kill()
    assert has_column(host)
    done = migrated.rollback(release_reverse_migrations_enabled=True)
    assert done.process.returncode == 0, done.output
    assert not has_column(host)
    migrated.require(before, kind="rollback")


@pytest.mark.soak
def test_a_reversal_that_fails_leaves_the_release_serving_and_is_made_up_for(migrated: Cluster) -> None:
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


def test_a_rollback_to_a_release_that_never_ran_is_refused(base: Cluster) -> None:
    before = base.now
    done = base.rollback(release_target="0123456789ab")
    assert done.process.returncode != 0
    assert "never ran well on this host" in " ".join(done.output.split())
    assert base.serves(before)


def environment(host: Host, name: str) -> str | None:
    """The variable of the running web processes."""
    slot = look(host)["slot"]
    pid = host.check_output("systemctl show --property=MainPID --value %s", f"slipway-web@{slot}.service")
    values = host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    return dict(line.split("=", 1) for line in values if "=" in line).get(name)


def test_configuration_and_front_ends_are_released_and_rolled_back_like_code(base: Cluster, tmp_path: Path) -> None:
    host, name = base.hosts[0], base.now
    (served,) = inventory.variables(host)["project_frontends"]
    sites = [site.beside(served["domain"]) for site in base.sites]
    level, page = environment(host, "LOG_LEVEL"), sites[0].get("/").body
    old = next(Path(served["path"]).glob("assets/*.js"))
    new = tmp_path / "assets/new.js"
    new.parent.mkdir()
    new.write_text("new")
    (tmp_path / "index.html").write_text("A new page")
    # Every host is asked, also the one that serves none.
    frontends = {
        "project_frontends": [{"domain": served["domain"], "path": str(tmp_path)}],
        "project_frontend_origins": [f"https://{served['domain']}"],
    }
    done = base.deploy(name, application_log_level="WARNING", **frontends)
    assert done.process.returncode == 0, done.output
    assert environment(host, "LOG_LEVEL") == "WARNING"
    assert [site.get("/").body for site in sites] == [b"A new page"] * len(sites)
    base.require(name, kind="deploy")
    assert base.rollback().process.returncode == 0
    assert environment(host, "LOG_LEVEL") == level
    assert [site.get("/").body for site in sites] == [page] * len(sites)
    base.require(name, kind="rollback")
    # Whichever page a browser still shows finds what it loads.
    for site in sites:
        assert [site.get(f"/assets/{path.name}").body for path in (old, new)] == [old.read_bytes(), b"new"]


@pytest.mark.soak
def test_a_new_main_name_leaves_no_second_without_an_answer(base: Cluster) -> None:
    """Each run is asked under both names once a second, there and back."""
    old = base.sites[0].domain
    new = f"new.{old}"
    there = {"project_domain": new, "project_other_domains": [old]}
    for values, sentence in ((there, "will be answered, once DNS leads there"), ({}, "will no longer be answered")):
        running = base.start("site", **values)
        silent: list[str] = []
        while running.process.poll() is None:
            silent += [site.address for site in base.sites if not (answers(site, old) or answers(site, new))]
            time.sleep(1)
        running.wait()
        assert running.process.returncode == 0, running.output
        assert f"{new} {sentence}" in running.output
        assert silent == []
        assert all(answers(site, old) for site in base.sites)
        assert [answers(site, new) for site in base.sites] == [bool(values)] * len(base.sites)


def answers(site: Site, name: str) -> bool:
    try:
        return site.beside(name).get("/health/ready/").status == 200
    except OSError:
        return False
