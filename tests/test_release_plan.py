"""What is told before a deploy that changes nothing."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release import build, django
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import HOST
from release_host import PLAN, PlayedHost


@pytest.fixture
def archive(tmp_path: Path) -> str:
    (tmp_path / "manage.py").touch()
    (tmp_path / "list.txt").write_text("django==5.2 --hash=sha256:0\n")
    with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "manage.py", "manage.py")
        packed.add(tmp_path / "list.txt", "requirements.txt")
    return str(tmp_path / "release.tar.gz")


@pytest.fixture
def serving(shop: PlayedHost) -> PlayedHost:
    """OLD serves with its packages, and the driver is there."""
    shop.serve("blue")
    (shop.root / "venvs/old").mkdir(parents=True)
    (shop.root / "releases/OLD/.venv").symlink_to(shop.root / "venvs/old")
    (shop.root / "lib/django_release.py").touch()
    return shop


def plan(shop: PlayedHost, **request: Any) -> dict[str, Any]:
    before = sorted(os.listdir(shop.root))
    answer = shop.take("build", check_mode=True, **request)
    assert sorted(os.listdir(shop.root)) == before
    return answer


def test_a_plan_is_told_by_the_new_code_and_leaves_nothing(serving: PlayedHost, archive: str) -> None:
    def answer(words: tuple[str, ...]) -> tuple[int, str, str]:
        folder = next(word for word in words if "WorkingDirectory=" in word).rpartition("=")[2]
        assert os.path.exists(f"{folder}/manage.py")
        return 0, json.dumps({**PLAN, "pending": ["goods.0001"]}), ""

    serving.systemd.transient = answer
    told = plan(serving, release="NEXT", archive=archive)
    assert told["pending"] == ["goods.0001"]
    assert told["summary"] == (
        "  migrates goods.0001\n  Packages change too; their own migrations are not in this list."
    )
    (words,) = serving.systemd.transients
    properties = [word.removeprefix("--property=") for word in words if word.startswith("--property=")]
    assert {"User=root", f"EnvironmentFile={serving.environment}", *django.SANDBOX, *django.APART} <= set(properties)
    assert words[-2:] == (f"{serving.root}/venvs/old/bin/python", f"{serving.root}/lib/django_release.py")
    assert "--setenv=STEP=plan" in words


def test_a_plan_of_a_release_that_is_there_is_told_with_its_own_packages(serving: PlayedHost) -> None:
    (serving.root / "releases/NEW/requirements.txt").write_text("django==5.2 --hash=sha256:0\n")
    venv = serving.parts().builds.venvs.path(str(serving.root / "releases/NEW/requirements.txt"), HOST)
    os.makedirs(venv)
    Path(venv, ".complete").touch()
    assert plan(serving, release="NEW")["summary"] == ""
    (words,) = serving.systemd.transients
    assert words[-2] == f"{venv}/bin/python"
    assert f"--property=WorkingDirectory={serving.root}/releases/NEW" in words


def test_why_nothing_can_be_told_is_told(serving: PlayedHost, archive: str) -> None:
    serving.systemd.transient = lambda words: (1, "", "Traceback\nNo module named goods\n")
    told = plan(serving, release="NEXT", archive=archive)
    assert (told["pending"], told["summary"]) == ([], "  What it migrates cannot be told before: No module named goods")


def test_a_host_that_does_not_serve_yet_cannot_tell(shop: PlayedHost, archive: str) -> None:
    assert plan(shop, release="NEXT", archive=archive)["summary"] == (
        "What it migrates can only be told on a host that serves."
    )


def test_a_long_list_is_cut() -> None:
    names = [f"goods.{number:04}" for number in range(20)]
    lines = build.summary({**PLAN, "pending": names}, []).splitlines()
    assert (len(lines), lines[-1]) == (13, "  and 8 more")
