"""What a host remembers of its releases, and which one to go back to."""

from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release import history


def remembered(root: Path, *lines: str) -> history.History:
    """A history of words such as "deploy A", "rollback A", "deploy B/2" (with configuration 2), "failed deploy C"."""
    kept = history.History(str(root))
    for line in lines:
        *result, kind, what = line.split()
        release, _, environment = what.partition("/")
        outcome = result[0] if result else "good"
        kept.append(kind=kind, release=release, environment=f"{environment or 1}.env", result=outcome)
    return kept


def activations(root: Path, *lines: str) -> list[str]:
    return [f"{each['release']}/{each['environment'][0]}" for each in remembered(root, *lines).activations()]


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
def test_what_was_rolled_back_is_no_way_back(tmp_path: Path, lines: list[str], expected: list[str]) -> None:
    assert activations(tmp_path, *lines) == expected


def test_a_record_that_a_crash_cut_off_is_not_read(tmp_path: Path) -> None:
    kept = remembered(tmp_path, "deploy A")
    with open(kept.path, "a") as file:
        file.write('{"kind": "deploy", "rel')
    assert [each["release"] for each in kept.activations()] == ["A"]


def test_a_record_after_one_that_was_cut_off_is_read(tmp_path: Path) -> None:
    kept = remembered(tmp_path, "deploy A")
    with open(kept.path, "a") as file:
        file.write('{"kind": "deploy", "rel')
    remembered(tmp_path, "deploy B")
    assert [each["release"] for each in kept.activations()] == ["A", "B"]


@pytest.mark.parametrize("damage", [b"null\n", b"\xff\xfe{\n", b"[1]\n"])
def test_a_damaged_line_is_no_record(tmp_path: Path, damage: bytes) -> None:
    kept = remembered(tmp_path, "deploy A")
    with open(kept.path, "ab") as file:
        file.write(damage)
    remembered(tmp_path, "deploy B")
    assert [each["release"] for each in kept.activations()] == ["A", "B"]
