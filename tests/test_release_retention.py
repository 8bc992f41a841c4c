"""What of old releases may be deleted."""

import os
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds
from ansible_collections.slipway.host.plugins.module_utils.release.shared import SharedFiles
from release_host import make_project


@pytest.fixture
def made(tmp_path: Path) -> tuple[Builds, SharedFiles]:
    """Three finished releases, each with a virtual environment and a static file of its own, and one they share."""
    project = make_project(tmp_path)
    builds = Builds(project)
    static = SharedFiles(str(tmp_path / "static"), builds.static_folder)
    for name in "ABC":
        folder = tmp_path / "releases" / name
        (folder / "staticfiles").mkdir(parents=True)
        (folder / "staticfiles" / f"{name}.css").touch()
        (folder / "staticfiles" / "shared.css").touch()
        (tmp_path / "venvs" / f"for-{name}").mkdir(parents=True)
        (tmp_path / "venvs" / f"for-{name}" / ".complete").touch()
        (folder / ".venv").symlink_to(tmp_path / "venvs" / f"for-{name}")
        static.share(name)
    (tmp_path / "etc").mkdir()
    for name in ("kept.env", "old.env"):
        (tmp_path / "etc" / name).touch()
        (tmp_path / "etc" / name.replace("env", "files")).mkdir()
    return builds, static


def prune(made: tuple[Builds, SharedFiles], tmp_path: Path, days: int = 7) -> list[str]:
    builds, static = made
    gone = builds.prune({"A", "C"}, {str(tmp_path / "etc" / "kept.env")})
    static.prune({"A", "C"}, days)
    return gone


def test_releases_that_nothing_needs_go_with_their_environments(
    made: tuple[Builds, SharedFiles], tmp_path: Path
) -> None:
    assert prune(made, tmp_path) == ["B"]
    assert sorted(os.listdir(tmp_path / "releases")) == ["A", "C"]
    assert sorted(os.listdir(tmp_path / "venvs")) == ["for-A", "for-C"]
    assert sorted(os.listdir(tmp_path / "etc")) == ["kept.env", "kept.files"]


def test_what_a_killed_plan_left_goes_after_a_day(made: tuple[Builds, SharedFiles], tmp_path: Path) -> None:
    for name, age in ((".plan-old", 1), (".plan-new", None)):
        (tmp_path / name / "code").mkdir(parents=True)
        if age:
            os.utime(tmp_path / name, (age, age))
    prune(made, tmp_path)
    assert [name for name in os.listdir(tmp_path) if name.startswith(".plan-")] == [".plan-new"]


def test_time_stamps_do_not_decide_what_goes(made: tuple[Builds, SharedFiles], tmp_path: Path) -> None:
    os.utime(tmp_path / "releases" / "A", (1, 1))
    prune(made, tmp_path)
    assert sorted(os.listdir(tmp_path / "releases")) == ["A", "C"]


def test_static_files_outlive_their_release_for_some_days(made: tuple[Builds, SharedFiles], tmp_path: Path) -> None:
    prune(made, tmp_path)
    assert sorted(os.listdir(tmp_path / "static")) == ["A.css", "B.css", "C.css", "shared.css"]


def test_static_files_that_no_page_can_name_any_more_go(made: tuple[Builds, SharedFiles], tmp_path: Path) -> None:
    for path in (tmp_path / "static").iterdir():
        os.utime(path, (1, 1))
    prune(made, tmp_path)
    assert sorted(os.listdir(tmp_path / "static")) == ["A.css", "C.css", "shared.css"]
