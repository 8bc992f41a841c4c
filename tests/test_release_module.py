"""What a host does about runs that were killed, disks that were full and hosts that disagree.

systemd is played here: these states are hard to reach on a booted host, where the releases scenario shows the rest.
"""

import errno
import json
import os
import tarfile
from types import SimpleNamespace

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import builds, records, slots
from ansible_collections.slipway.host.plugins.modules import release as module

PROCESSES = ["web", "worker", "beat"]
PROJECT = {
    "name": "shop",
    "user": "root",
    "processes": PROCESSES,
    "known_processes": PROCESSES,
    "commands": [],
    "source_folder": "",
    "requirements_file": "requirements.txt",
    "static_folder": "staticfiles",
    "media_folder": "",
    "persistent_paths": [],
    "health_host": "shop.example",
    "health_path": "/",
    "health_timeout_seconds": 1,
    "grace_seconds": 0,
    "drain_timeout_seconds": 0,
    "lock_timeout_seconds": 1,
}
ME, ENVIRONMENT = {"token": "here 1 1", "who": "ada@desk"}, "/etc/shop/1.env"


class Systemd:
    """Units that start and stop at once."""

    def __init__(self):
        self.active, self.calls = set(), []

    def __call__(self, verb, *words):
        units = [word for word in words if not word.startswith("--")]
        self.calls.append((verb, *units))
        if verb == "start":
            self.active.update(units)
        elif verb == "stop":
            self.active.difference_update(units)
        states = ["active" if unit in self.active else "inactive" for unit in units]
        text = "\n\n".join(f"ActiveState={state}\nNRestarts=0" for state in states)
        failed = verb == "is-active" and "inactive" in states
        return SimpleNamespace(returncode=int(failed), stdout=text, stderr="")


class Host:
    """A host with releases OLD and NEW, of which OLD was good in blue; nothing serves yet."""

    def __init__(self, root, systemd):
        self.root, self.systemd = root, systemd
        for name in ("OLD", "NEW"):
            self.add_release(name)
        self.place("blue", "OLD")
        self.place("green", "NEW")
        self.was_good("blue", "OLD")

    def add_release(self, name, **metadata):
        folder = self.root / "releases" / name
        (folder / "staticfiles").mkdir(parents=True)
        (folder / "staticfiles/site.css").write_text(name)
        known = {"release": name, "commit": name, "migrations": [], "leaves": {}, "apps": [], **metadata}
        (folder / ".release.json").write_text(json.dumps(known))

    def place(self, slot, release):
        folder = self.root / "slots" / slot
        folder.mkdir(parents=True, exist_ok=True)
        links = {"release": self.root / "releases" / release, "environment": ENVIRONMENT, "web.sock": f"/run/{slot}"}
        for name, target in links.items():
            slots.point(str(folder / name), str(target))
        (folder / "definitions").write_text(self.release().slots.definitions())

    def start(self, slot, processes=PROCESSES):
        names = [f"shop-{process}@{slot}.service" for process in processes]
        self.systemd.active.update([f"shop-web@{slot}.socket", *names])

    def serve(self, slot, **options):
        slots.point(str(self.root / "current"), f"slots/{slot}")
        self.start(slot, **options)

    def was_good(self, slot, release, **record):
        common = {"kind": "deploy", "environment": "1.env", "result": "good", "previous": None}
        self.release().history.append(**{"id": f"1-{release}", **common, **record}, slot=slot, release=release)

    def is_tried(self, **attempt):
        """Somebody, who has the lock, deploys NEW into green."""
        common = {"id": "2-NEW", "kind": "deploy", "release": "NEW", "slot": "green", "previous": "OLD"}
        more = {"by": ME["who"], "started": records.now(), "step": "switch", "environment": ENVIRONMENT}
        self.release().attempt.write({**common, **more, **attempt})
        self.release().lease.take(ME["token"], ME["who"], "deploy of NEW")

    def release(self, *, check_mode=False, project=(), **parameters):
        given = {"environment": ENVIRONMENT, "retention_count": 5, "static_retention_days": 7, "reason": "it failed"}
        asked = {**dict.fromkeys(UNSET), **given, **parameters}
        return module.Release(
            {"owner": ME, "project": {**PROJECT, "root": str(self.root), **dict(project)}, **asked}, check_mode
        )

    @property
    def serving(self):
        found = self.release().slots
        return found.release(found.serving())

    @property
    def history(self):
        return [(record["kind"], record["release"], record["result"]) for record in self.release().history.read()]

    @property
    def is_free(self):
        return not {"lock.json", "attempt.json"} & set(os.listdir(self.root))

    def runs(self, slot):
        return {unit.split("@")[0].removeprefix("shop-") for unit in self.systemd.active if f"@{slot}." in unit}


UNSET = (
    *("break_token", "kind", "release", "commit", "ref", "archive", "tools_requirements", "poetry_requirements"),
    *("breaking_migrations_enabled", "reverse_migrations_enabled", "attempts_count", "failed_step", "stands"),
)


@pytest.fixture
def unhealthy(monkeypatch):
    """Slots whose processes answer badly."""
    slots_ = set()
    monkeypatch.setattr(slots.Probe, "ask", lambda self, known, slot: "500" if slot in slots_ else "200")
    return slots_


@pytest.fixture
def host(tmp_path, monkeypatch, unhealthy):
    systemd, exists = Systemd(), os.path.exists
    monkeypatch.setattr(slots, "systemctl", systemd)
    monkeypatch.setattr(slots, "run", lambda *command: SimpleNamespace(returncode=0, stdout=""))
    monkeypatch.setattr(module, "systemctl", systemd)
    here = ("/etc/systemd/system/shop-", "/etc/shop/")
    monkeypatch.setattr(os.path, "exists", lambda path: str(path).startswith(here) or exists(path))
    return Host(tmp_path, systemd)


# --- a run that gives up


def test_what_was_killed_in_the_time_of_grace_gives_the_traffic_back(host):
    host.start("blue")
    host.serve("green")
    host.is_tried(built=True)
    host.release().abort()
    assert host.serving == "OLD"
    assert (host.runs("blue"), host.runs("green")) == (set(PROCESSES), set())
    assert host.history[-1] == ("deploy", "NEW", "failed")
    assert not (host.root / "releases/NEW").exists()
    assert host.is_free


def test_a_first_release_that_was_killed_in_the_time_of_grace_serves_nobody(host):
    host.serve("green")
    host.is_tried(built=True, previous=None)
    host.release().abort()
    assert host.serving is None
    assert host.runs("green") == set()
    assert host.is_free


def test_a_release_that_was_good_goes_back_when_another_host_fails(host):
    host.was_good("green", "NEW", id="2-NEW")
    host.serve("green")
    host.is_tried()
    host.release().abort()
    assert host.serving == "OLD"
    assert host.history[-1] == ("return", "OLD", "good")


def test_a_release_that_serves_everywhere_stands(host):
    host.was_good("green", "NEW", id="2-NEW")
    host.serve("green")
    host.is_tried(kind="rollback", reverse=[["users", "0001"]])
    said = host.release(stands=True).abort()["summary"]
    assert host.serving == "NEW"
    assert "`make rollback REVERSE=yes` has still to reverse users to 0001" in said
    # The next run with that switch begins where this one ended.
    begun = host.release(kind="rollback", release="", reverse_migrations_enabled=True).begin()
    assert (begun["needed"], begun["reverse"]) == (False, [["users", "0001"]])


def test_a_full_disk_does_not_keep_what_filled_it(host, monkeypatch):
    host.serve("blue")
    host.is_tried(step="build")
    (host.root / "releases/NEW/.release.json").unlink()
    (host.root / "venvs/half").mkdir(parents=True)

    def fail(self, **record):
        raise OSError(errno.ENOSPC, "No space left on device", self.path)

    monkeypatch.setattr(records.History, "append", fail)
    said = host.release().abort()["summary"]
    assert "No space left on device" in said
    assert os.listdir(host.root / "venvs") == []
    assert os.listdir(host.root / "releases") == ["OLD"]
    assert host.is_free


def test_static_files_without_a_hash_are_those_of_the_release_that_serves(host):
    host.serve("blue")
    host.is_tried(step="migrate", built=True)
    host.release().builds.share_static("NEW")
    host.release().abort()
    assert (host.root / "static/site.css").read_text() == "OLD"


def test_a_record_of_the_attempt_that_is_damaged_stops_the_run_and_frees_the_lock(host):
    host.serve("blue")
    host.is_tried()
    (host.root / "attempt.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read any more"):
        host.release().migrate()
    host.release().abort()
    assert host.is_free


# --- the run after one that was killed


def test_a_way_back_that_was_killed_is_no_new_release(host):
    host.was_good("green", "NEW", id="2-NEW")
    host.serve("blue")
    host.start("green")
    host.is_tried()
    host.release(kind="deploy", release="OLD").begin()
    assert host.history[-1] == ("return", "OLD", "good")
    assert [record["release"] for record in host.release().history.line()] == ["OLD"]


def test_a_release_that_heals_is_not_refused_where_no_other_is_healthy(host, unhealthy):
    host.serve("green")
    host.is_tried()
    unhealthy.update({"blue", "green"})
    begun = host.release(kind="deploy", release="HEALS", break_token=ME["token"]).begin()
    assert begun["needed"]
    assert "nor is release OLD" in begun["recovered"][0]


def test_a_step_that_lives_on_is_not_joined(host):
    host.serve("blue")
    step = "shop-release@green.service"
    host.systemd.active.add(step)
    host.release(kind="deploy", release="OLD").begin()
    assert step not in host.systemd.active


# --- what is to be done


def test_a_host_keeps_what_another_run_released_meanwhile(host):
    host.was_good("green", "NEW")
    host.serve("green")
    begun = host.release(kind="converge", release="OLD").begin()
    assert (begun["needed"], begun["release"]) == (False, "NEW")


def test_a_host_that_left_a_group_stops_its_process(host):
    host.serve("blue")
    assert not host.release(kind="converge", release="OLD").begin()["needed"]
    assert host.release(kind="converge", release="OLD", project={"processes": ["web", "worker"]}).begin()["needed"]


def test_little_room_is_no_reason_not_to_go_back(host, monkeypatch):
    host.was_good("green", "NEW")
    host.serve("green")
    monkeypatch.setattr(builds.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert host.release(kind="rollback", release="").begin()["release"] == "OLD"
    host.release().lease.drop()
    with pytest.raises(UserError, match="free some space first"):
        host.release(kind="deploy", release="ANOTHER").begin()


def test_a_release_that_was_built_with_other_settings_is_not_the_same(host):
    host.add_release("SHAPED", shape={"static_folder": "public"})
    host.serve("blue")
    with pytest.raises(UserError, match='with application_static_folder "public", which is "staticfiles" now'):
        host.release(kind="deploy", release="SHAPED").begin()


def test_check_mode_does_not_wait_for_a_lock(host):
    host.serve("blue")
    host.is_tried()
    host.release().lease.take("elsewhere 1 1", "bob@desk", "deploy of NEW")
    assert host.release(kind="deploy", release="NEW", check_mode=True).begin()["needed"]
    assert host.release(kind="deploy", release="NEW").begin()["held"]["who"] == "bob@desk"


def test_only_the_lock_that_was_shown_is_taken_away(host):
    host.is_tried()
    shown = {"token": "elsewhere 1 1"}
    with pytest.raises(UserError, match="ada@desk has the lock by now, for a deploy of NEW"):
        host.release(break_token=shown["token"]).unlock()
    assert host.release(break_token=ME["token"]).unlock()["changed"]
    assert host.release().lease.holder() is None


@pytest.fixture
def unpack(tmp_path):
    """Unpacks files as a release whose database is a file that stays on the host."""

    def make(*names):
        (tmp_path / "db.sqlite3").touch()
        with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as archive:
            for name in names:
                archive.add(tmp_path / "db.sqlite3", name)
        known = builds.Builds(str(tmp_path / "srv"), "root", "staticfiles", {"db.sqlite3": "data"})
        known.unpack(str(tmp_path / "release.tar.gz"), str(tmp_path / "release"))

    return make


def test_a_release_that_is_only_looked_at_has_its_links_and_makes_nothing(tmp_path, unpack):
    unpack("manage.py")
    assert os.readlink(tmp_path / "release/db.sqlite3") == str(tmp_path / "srv/data/db.sqlite3")
    assert not (tmp_path / "srv").exists()


def test_what_should_stay_on_the_host_is_refused_in_a_release(unpack):
    with pytest.raises(UserError, match=r"db.sqlite3 is in the repository, and should be"):
        unpack("manage.py", "db.sqlite3")
