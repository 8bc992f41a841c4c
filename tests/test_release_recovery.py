"""What a host does about runs that were killed, disks that were full and hosts that disagree.

systemd is played here: these states are hard to reach on a booted host, where the releases scenario shows the rest.
"""

import errno
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import builds, history
from release_host import ME, PROCESSES, PlayedHost, make_project

# --- a run that gives up


def test_what_was_killed_in_the_time_of_grace_gives_the_traffic_back(shop: PlayedHost) -> None:
    shop.start("blue")
    shop.serve("green")
    shop.is_tried(built=True)
    shop.take("abort")
    assert shop.serving == "OLD"
    assert (shop.runs("blue"), shop.runs("green")) == (set(PROCESSES), set())
    assert shop.history[-1] == ("deploy", "NEW", "failed")
    assert not (shop.root / "releases/NEW").exists()
    assert shop.is_free


def test_a_first_release_that_was_killed_in_the_time_of_grace_serves_nobody(shop: PlayedHost) -> None:
    shop.serve("green")
    shop.is_tried(built=True, previous=None)
    shop.take("abort")
    assert shop.serving is None
    assert shop.runs("green") == set()
    assert shop.is_free


def test_a_release_that_was_good_goes_back_when_another_host_fails(shop: PlayedHost) -> None:
    shop.was_good("green", "NEW", id="2-NEW")
    shop.serve("green")
    shop.is_tried()
    shop.take("abort")
    assert shop.serving == "OLD"
    assert shop.history[-1] == ("return", "OLD", "good")


def test_a_release_that_serves_everywhere_stands(shop: PlayedHost) -> None:
    shop.was_good("green", "NEW", id="2-NEW")
    shop.serve("green")
    shop.is_tried(kind="rollback", reverse=[["users", "0001"]])
    said = shop.take("abort", switched_everywhere=True)["summary"]
    assert shop.serving == "NEW"
    assert "`make rollback REVERSE=yes` has still to reverse users to 0001" in said
    # The next run with that switch begins where this one ended.
    begun = shop.take("begin", kind="rollback", release="", reverse_migrations_enabled=True)
    assert (begun["needed"], begun["reverse"]) == (False, [["users", "0001"]])


def test_a_full_disk_does_not_keep_what_filled_it(shop: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.serve("blue")
    shop.is_tried(step="build")
    (shop.root / "releases/NEW/.release.json").unlink()
    (shop.root / "venvs/half").mkdir(parents=True)

    def fail(self: history.History, **record: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", self.path)

    monkeypatch.setattr(history.History, "append", fail)
    said = shop.take("abort")["summary"]
    assert "No space left on device" in said
    assert os.listdir(shop.root / "venvs") == []
    assert os.listdir(shop.root / "releases") == ["OLD"]
    assert shop.is_free


def test_static_files_without_a_hash_are_those_of_the_release_that_serves(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried(step="migrate", built=True)
    shop.parts().static.share("NEW")
    shop.take("abort")
    assert (shop.root / "static/site.css").read_text() == "OLD"


def test_a_record_of_the_attempt_that_is_damaged_stops_the_run_and_frees_the_lock(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    (shop.root / "attempt.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read any more"):
        shop.take("migrate")
    shop.take("abort")
    assert shop.is_free


def test_a_run_whose_lock_somebody_has_undoes_nothing(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried(built=True)
    shop.parts().lease.take("elsewhere 1 1", "bob@desk", "deploy of NEW")
    assert shop.take("abort") == {"changed": False}
    assert (shop.root / "releases/NEW").exists()
    assert not shop.is_free


# --- the run after one that was killed


def test_a_way_back_that_was_killed_is_no_new_release(shop: PlayedHost) -> None:
    shop.was_good("green", "NEW", id="2-NEW")
    shop.serve("blue")
    shop.start("green")
    shop.is_tried()
    shop.take("begin", kind="deploy", release="OLD")
    assert shop.history[-1] == ("return", "OLD", "good")
    assert [record["release"] for record in shop.parts().history.activations()] == ["OLD"]


def test_a_release_that_heals_is_not_refused_where_no_other_is_healthy(shop: PlayedHost, unhealthy: set[str]) -> None:
    shop.serve("green")
    shop.is_tried()
    unhealthy.update({"blue", "green"})
    begun = shop.take("begin", kind="deploy", release="HEALS", break_token=ME["token"])
    assert begun["needed"]
    assert "nor is release OLD" in begun["recovered"][0]


def test_a_step_that_lives_on_is_not_joined(shop: PlayedHost) -> None:
    shop.serve("blue")
    step = "shop-release@green.service"
    shop.systemd.active.add(step)
    shop.take("begin", kind="deploy", release="OLD")
    assert step not in shop.systemd.active


# --- what is to be done


def test_a_host_keeps_what_another_run_released_meanwhile(shop: PlayedHost) -> None:
    shop.was_good("green", "NEW")
    shop.serve("green")
    begun = shop.take("begin", kind="converge", release="OLD")
    assert (begun["needed"], begun["release"]) == (False, "NEW")


def test_a_host_that_left_a_group_stops_its_process(shop: PlayedHost) -> None:
    shop.serve("blue")
    assert not shop.take("begin", kind="converge", release="OLD")["needed"]
    assert shop.take("begin", kind="converge", release="OLD", project={"processes": ["web", "worker"]})["needed"]


def test_little_room_is_no_reason_not_to_go_back(shop: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.was_good("green", "NEW")
    shop.serve("green")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    assert shop.take("begin", kind="rollback", release="")["release"] == "OLD"
    shop.parts().lease.drop()
    with pytest.raises(UserError, match="free some space first"):
        shop.take("begin", kind="deploy", release="ANOTHER")


def test_a_release_that_was_built_with_other_settings_is_not_the_same(shop: PlayedHost) -> None:
    shop.add_release("SHAPED", shape={"static_folder": "public"})
    shop.serve("blue")
    with pytest.raises(UserError, match='with application_static_folder "public", which is "staticfiles" now'):
        shop.take("begin", kind="deploy", release="SHAPED")


def test_check_mode_does_not_wait_for_a_lock(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried()
    shop.parts().lease.take("elsewhere 1 1", "bob@desk", "deploy of NEW")
    assert shop.take("begin", kind="deploy", release="NEW", check_mode=True)["needed"]
    assert shop.take("begin", kind="deploy", release="NEW")["held"]["who"] == "bob@desk"


def test_only_the_lock_that_was_shown_is_taken_away(shop: PlayedHost) -> None:
    shop.is_tried()
    shown = {"token": "elsewhere 1 1"}
    with pytest.raises(UserError, match="ada@desk has the lock by now, for a deploy of NEW"):
        shop.take("unlock", break_token=shown["token"])
    assert shop.take("unlock", break_token=ME["token"])["changed"]
    assert shop.parts().lease.holder() is None


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[..., None]:
    """Unpacks files as a release whose database is a file that stays on the host."""

    def make(*names: str) -> None:
        (tmp_path / "db.sqlite3").touch()
        with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as archive:
            for name in names:
                archive.add(tmp_path / "db.sqlite3", name)
        project = make_project(tmp_path / "srv", persistent_paths=["db.sqlite3"])
        builds.Builds(project).unpack(str(tmp_path / "release.tar.gz"), str(tmp_path / "release"))

    return make


def test_a_release_that_is_only_looked_at_has_its_links_and_makes_nothing(
    tmp_path: Path, unpack: Callable[..., None]
) -> None:
    unpack("manage.py")
    assert os.readlink(tmp_path / "release/db.sqlite3") == str(tmp_path / "srv/data/db.sqlite3")
    assert not (tmp_path / "srv").exists()


def test_a_file_of_the_inventory_is_the_one_of_the_slot(shop: PlayedHost, tmp_path: Path) -> None:
    project = make_project(tmp_path / "srv", files=["config/local.py"])
    with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as archive:
        archive.add(__file__, "config/other.py")
    builds.Builds(project).unpack(str(tmp_path / "release.tar.gz"), str(tmp_path / "release"))
    # Where the units of each slot see its own.
    assert os.readlink(tmp_path / "release/config/local.py") == str(tmp_path / "srv/files/config/local.py")
    shop.parts().slots.prepare("green", "NEW", "/etc/shop/2.env", "/srv/shop/frontends/2")
    assert os.readlink(shop.root / "slots/green/files") == "/etc/shop/2.files"


def test_a_file_of_the_inventory_is_refused_in_a_release(tmp_path: Path) -> None:
    project = make_project(tmp_path / "srv", files=["local.py"])
    with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as archive:
        archive.add(__file__, "local.py")
    with pytest.raises(UserError, match=r"local\.py .*should come from the inventory: .*, or from application_files\."):
        builds.Builds(project).unpack(str(tmp_path / "release.tar.gz"), str(tmp_path / "release"))


def test_what_should_stay_on_the_host_is_refused_in_a_release(unpack: Callable[..., None]) -> None:
    with pytest.raises(UserError, match=r"db.sqlite3 is in the repository, and should be"):
        unpack("manage.py", "db.sqlite3")
