"""What a host remembers of its releases: which one to go back to, who may change them, what may be deleted."""

import os
import time

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import builds, records


def history(root, *lines):
    """A history of words such as "deploy A", "rollback A", "deploy B/2" (with configuration 2), "failed deploy C"."""
    kept = records.History(root)
    for line in lines:
        *result, kind, what = line.split()
        release, _, environment = what.partition("/")
        outcome = result[0] if result else "good"
        kept.append(kind=kind, release=release, environment=f"{environment or 1}.env", result=outcome)
    return kept


def line(*arguments):
    return [f"{each['release']}/{each['environment'][0]}" for each in history(*arguments).line()]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["deploy A", "deploy B"], ["A/1", "B/1"]),
        (["deploy A", "failed deploy B"], ["A/1"]),
        (["deploy A", "returned deploy B"], ["A/1"]),
        (["deploy A", "interrupted deploy B"], ["A/1"]),
        (["deploy A", "deploy B", "deploy C", "rollback B"], ["A/1", "B/1"]),
        (["deploy A", "deploy B", "deploy C", "rollback B", "rollback A"], ["A/1"]),
        (["deploy A", "deploy B", "rollback A", "deploy C"], ["A/1", "C/1"]),
        (["deploy A", "deploy A"], ["A/1"]),
        (["deploy A", "deploy A/2", "rollback A"], ["A/1"]),
        (["deploy A", "deploy B", "return A"], ["A/1"]),
        (["deploy A", "deploy B", "rollback A", "rollback B"], ["A/1", "B/1"]),
        (["deploy A", "deploy B", "deploy A", "rollback B"], ["A/1", "B/1"]),
    ],
)
def test_what_was_rolled_back_is_no_way_back(tmp_path, lines, expected):
    assert line(tmp_path, *lines) == expected


def test_a_record_that_a_crash_cut_off_is_not_read(tmp_path):
    kept = history(tmp_path, "deploy A")
    with open(kept.path, "a") as file:
        file.write('{"kind": "deploy", "rel')
    assert [each["release"] for each in kept.line()] == ["A"]


def test_a_record_after_one_that_was_cut_off_is_read(tmp_path):
    kept = history(tmp_path, "deploy A")
    with open(kept.path, "a") as file:
        file.write('{"kind": "deploy", "rel')
    history(tmp_path, "deploy B")
    assert [each["release"] for each in kept.line()] == ["A", "B"]


@pytest.mark.parametrize("damage", [b"null\n", b"\xff\xfe{\n", b"[1]\n"])
def test_a_damaged_line_is_no_record(tmp_path, damage):
    kept = history(tmp_path, "deploy A")
    with open(kept.path, "ab") as file:
        file.write(damage)
    history(tmp_path, "deploy B")
    assert [each["release"] for each in kept.line()] == ["A", "B"]


# --- the lease


@pytest.fixture
def lease(tmp_path):
    return records.Lease(tmp_path)


def test_nobody_has_a_lock_that_was_never_taken(lease):
    assert lease.holder() is None


def test_a_lock_says_who_has_it_for_what_since_when(lease):
    lease.take("token", "ada@laptop", "deploy of A")
    holder = lease.holder()
    assert (holder["who"], holder["what"]) == ("ada@laptop", "deploy of A")
    assert holder["since"].endswith("+00:00")


def test_a_lock_that_nothing_renews_ends(lease):
    lease.take("token", "ada@laptop", "deploy of A")
    past = time.time() - records.LEASE_SECONDS - 1
    os.utime(lease.path, (past, past))
    assert lease.holder() is None


def test_every_step_renews_the_lock(lease):
    lease.take("token", "ada@laptop", "deploy of A")
    os.utime(lease.path, (1, 1))
    lease.require("token")
    assert lease.holder()


def test_a_run_whose_lock_was_taken_away_stops(lease):
    with pytest.raises(UserError, match="taken away"):
        lease.require("token")


def test_a_run_whose_lock_somebody_else_has_stops(lease):
    lease.take("other", "bob@desk", "deploy of B")
    with pytest.raises(UserError, match="bob@desk"):
        lease.require("token")


# --- retention


@pytest.fixture
def made(tmp_path):
    """Three finished releases, each with a virtual environment and a static file of its own, and one they share."""
    made = builds.Builds(str(tmp_path), "nobody")
    for name in "ABC":
        folder = tmp_path / "releases" / name
        (folder / "staticfiles").mkdir(parents=True)
        (folder / "staticfiles" / f"{name}.css").touch()
        (folder / "staticfiles" / "shared.css").touch()
        (tmp_path / "venvs" / f"for-{name}").mkdir(parents=True)
        (tmp_path / "venvs" / f"for-{name}" / ".complete").touch()
        (folder / ".venv").symlink_to(tmp_path / "venvs" / f"for-{name}")
        made.share_static(name)
    (tmp_path / "etc").mkdir()
    for name in ("kept.env", "old.env"):
        (tmp_path / "etc" / name).touch()
    return made


def prune(made, tmp_path, days=7):
    return made.prune({"A", "C"}, {str(tmp_path / "etc" / "kept.env")}, days)


def test_releases_that_nothing_needs_go_with_their_environments(made, tmp_path):
    assert prune(made, tmp_path) == ["B"]
    assert sorted(os.listdir(tmp_path / "releases")) == ["A", "C"]
    assert sorted(os.listdir(tmp_path / "venvs")) == ["for-A", "for-C"]
    assert os.listdir(tmp_path / "etc") == ["kept.env"]


def test_time_stamps_do_not_decide_what_goes(made, tmp_path):
    os.utime(tmp_path / "releases" / "A", (1, 1))
    prune(made, tmp_path)
    assert sorted(os.listdir(tmp_path / "releases")) == ["A", "C"]


def test_static_files_outlive_their_release_for_some_days(made, tmp_path):
    prune(made, tmp_path)
    assert sorted(os.listdir(tmp_path / "static")) == ["A.css", "B.css", "C.css", "shared.css"]


def test_static_files_that_no_page_can_name_any_more_go(made, tmp_path):
    for path in (tmp_path / "static").iterdir():
        os.utime(path, (1, 1))
    prune(made, tmp_path)
    assert sorted(os.listdir(tmp_path / "static")) == ["A.css", "C.css", "shared.css"]
