"""Dependabot looks after each lock file of the repository, and after the actions of the workflows."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT, ids, load, tracked

CONFIGURATION = ROOT / ".github/dependabot.yml"
UPDATES = load(CONFIGURATION)["updates"]
FOLDERS = {
    (update["package-ecosystem"], folder)
    for update in UPDATES
    for folder in update.get("directories") or [update["directory"]]
}
# The projects that tests deploy are no part of what runs.
PROJECTS = ROOT / "molecule/projects"
LOCKS = {"package-lock.json": "npm", "poetry.lock": "pip", "uv.lock": "uv"}


def ecosystem(path: Path) -> str | None:
    """What of Dependabot updates a lock file; None for another file."""
    if path.is_symlink() or PROJECTS in path.parents:
        return None
    return "uv" if path.with_suffix(".in").exists() and path.suffix == ".txt" else LOCKS.get(path.name)


@pytest.mark.parametrize("path", ids(path for path in tracked() if ecosystem(path)))
def test_each_lock_file_is_kept_up_to_date(path: Path) -> None:
    assert (ecosystem(path), f"/{path.parent.relative_to(ROOT)}") in FOLDERS
    # Dependabot compiles with the options that the head of the list names.
    assert ecosystem(path) != "uv" or "uv pip compile --universal" in path.read_text().splitlines()[1]


def test_no_folder_is_named_without_a_lock_file() -> None:
    locked = {(ecosystem(path), f"/{path.parent.relative_to(ROOT)}") for path in tracked() if ecosystem(path)}
    assert locked | {("github-actions", "/")} == FOLDERS


def test_updates_come_together_once_a_week() -> None:
    for update in UPDATES:
        assert update["schedule"]["interval"] == "weekly"
        assert [group["patterns"] for group in update["groups"].values()] == [["*"]]


@pytest.mark.parametrize(("wrong", "code"), [(None, 0), ("weekly", 1)])
def test_the_configuration_is_one_that_dependabot_reads(tmp_path: Path, wrong: str | None, code: int) -> None:
    path = tmp_path / "dependabot.yml"
    path.write_text(CONFIGURATION.read_text().replace(wrong or "\0", "fortnightly"))
    check = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [check, "--builtin-schema=vendor.dependabot", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
