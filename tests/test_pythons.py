"""A project that wants another Python than a host has is found out before anything is built."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.action import source
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.plugin_utils.pythons import fits, ways

UV = 'version = 1\nrequires-python = ">=3.14"\n'
POETRY = '[metadata]\npython-versions = "^3.11"\n'
PROJECT = '[project]\nname = "shop"\nrequires-python = ">=3.12"\n'
OLD_PROJECT = '[tool.poetry.dependencies]\npython = "~3.12"\n'


def found(tmp_path: Path, requirements: str, **files: str) -> dict[str, str]:
    """What is said of Python in a tarball with these files."""
    usual = dict.fromkeys(["app/manage.py", "app/requirements.txt", "app/requirements/production.txt"], "")
    for name, text in {**usual, "uv.lock": UV, **files}.items():
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).write_text(text)
    tarball = tmp_path / "shop.tar"
    with tarfile.open(tarball, "w") as archive:
        archive.add(tmp_path / "source", arcname=".")
    python = source.resolve(tmp_path / "cache", "", "", "app", requirements, tarball=str(tarball))["python"]
    assert isinstance(python, dict)
    return python


@pytest.mark.parametrize(
    ("requirements", "files", "python"),
    [
        ("../uv.lock", {}, {"uv.lock": ">=3.14"}),
        ("../uv.lock", {"pyproject.toml": PROJECT}, {"uv.lock": ">=3.14", "pyproject.toml": ">=3.12"}),
        ("poetry.lock", {"app/poetry.lock": POETRY}, {"poetry.lock": "^3.11"}),
        ("pyproject.toml", {"app/pyproject.toml": OLD_PROJECT}, {"pyproject.toml": "~3.12"}),
        ("requirements.txt", {"app/pyproject.toml": PROJECT}, {"pyproject.toml": ">=3.12"}),
        ("requirements/production.txt", {"app/pyproject.toml": PROJECT}, {"pyproject.toml": ">=3.12"}),
        ("requirements.txt", {"app/pyproject.toml": "[tool.ruff]\n"}, {}),
        ("requirements.txt", {}, {}),
    ],
)
def test_the_projects_own_files_say_which_python_it_wants(
    tmp_path: Path, requirements: str, files: dict[str, str], python: dict[str, str]
) -> None:
    assert found(tmp_path, requirements, **files) == python


@pytest.mark.parametrize(
    ("lock", "sentence"),
    [
        ('requires-python = "new"', r"uv\.lock asks for Python new, which is no range of versions: write for example"),
        ("<<<<<<< HEAD", r"uv\.lock is no TOML: .* Correct it"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, lock: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        found(tmp_path, "../uv.lock", **{"uv.lock": lock})


@pytest.mark.parametrize(
    ("wanted", "lowest", "beyond"),
    [
        (">=3.11", "3.11.0", "3.10.12"),
        (">= 3.11, < 3.13", "3.12.9", "3.13.0"),
        (">=3.9 <3.12", "3.11.2", "3.12.1"),
        ("^3.11", "3.14.1", "4.0.0"),
        ("^3.11", "3.11.0", "3.10.9"),
        ("~3.11", "3.11.2", "3.12.0"),
        ("~3", "3.14.0", "4.0.0"),
        ("~=3.11", "3.13.0", "3.10.0"),
        ("3.11.*", "3.11.2", "3.12.0"),
        ("3.11.2", "3.11.2", "3.11.3"),
        ("~3.9 || ^3.12", "3.13.1", "3.11.2"),
        ("*", "3.9.0", ""),
    ],
)
def test_a_range_has_some_pythons_and_no_others(wanted: str, lowest: str, beyond: str) -> None:
    assert fits(lowest, wanted)
    assert not (beyond and fits(beyond, wanted))


def test_a_version_without_its_patch_is_any_of_them() -> None:
    assert fits("3.14", "==3.14.*")
    assert fits("3.14", ">=3.14.2,<3.15")
    assert not fits("3.13", ">=3.14.2")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("==3.14.*", 'set application_python: "3.14", take a host with Ubuntu 26.04, '),
        (">=3.13", 'set application_python: "3.13", take a host with Debian 13 or Ubuntu 26.04, '),
        (">=3.15", 'set application_python: "3.15", '),
        ("<3.9", ""),
    ],
)
def test_what_would_do_is_named(wanted: str, words: str) -> None:
    assert ways(wanted) == words
