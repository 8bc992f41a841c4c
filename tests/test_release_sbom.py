"""Each release has a list of the packages that it is made of, as the standard CycloneDX wants it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cyclonedx.schema
import pytest
from ansible_collections.slipway.host.plugins.module_utils.release import sbom
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from release_host import PlayedHost
from repository import ROOT

SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"
LICENSE = "License-Expression: BSD-3-Clause\n"
VCS = {"url": "https://ada:s3cret@git.example/shop.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}
LOCK: dict[str, Any] = {
    "": {"name": "shop"},
    "theme": {"name": "theme", "version": "1.0.0"},
    "node_modules/theme": {"resolved": "theme", "link": True},
    "node_modules/@vue/core": {"version": "3.5.1", "integrity": "sha512-AAEC", "dev": True},
    "node_modules/a/node_modules/b": {"version": "2.0.0"},
    "node_modules/b": {"version": "2.0.0"},
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release with three packages of Python, and two of npm in a folder of it."""
    packages = tmp_path / ".venv/lib/python3.12/site-packages"
    for name, version, about in (("Django_Axes", "8.3.1", LICENSE), ("torch", "2.9.0+cpu", ""), ("shop", "1.0", "")):
        folder = packages / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{about}")
    (packages / "shop-1.0.dist-info/direct_url.json").write_text(json.dumps(VCS))
    for place in ("theme", "theme/node_modules/b"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "package-lock.json").write_text(json.dumps({"packages": LOCK if place == "theme" else {}}))
    return tmp_path


def written(folder: Path) -> Any:
    sbom.write("aa042e7", str(folder), "shop")
    return json.loads((folder / ".sbom.cdx.json").read_text())


def problems(document: Any) -> list[str]:
    """What the schema of the standard does not allow."""
    names = ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs")
    schemas = {path.name: json.loads(path.read_text()) for name in names for path in SCHEMAS.glob(f"{name}.S*.json")}
    found: list[tuple[str, Resource[Any]]] = [
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas.values()
    ]
    schema = next(schema for name, schema in schemas.items() if name.startswith("bom-1.6"))
    validator = Draft7Validator(schema, registry=Registry().with_resources(found))
    return [error.message for error in validator.iter_errors(document)]


def test_a_release_lists_what_it_is_made_of(release: Path) -> None:
    document = written(release)
    assert document["metadata"]["component"] == {"type": "application", "name": "shop", "version": "aa042e7"}
    assert document["components"] == [
        {
            "type": "library",
            "name": "@vue/core",
            "version": "3.5.1",
            "hashes": [{"alg": "SHA-512", "content": "000102"}],
            "purl": "pkg:npm/%40vue/core@3.5.1",
            "properties": [{"name": "cdx:npm:package:development", "value": "true"}],
        },
        {"type": "library", "name": "b", "version": "2.0.0", "purl": "pkg:npm/b@2.0.0"},
        {
            "type": "library",
            "name": "django-axes",
            "version": "8.3.1",
            "licenses": [{"expression": "BSD-3-Clause"}],
            "purl": "pkg:pypi/django-axes@8.3.1",
        },
        {
            "type": "library",
            "name": "shop",
            "version": "1.0",
            "externalReferences": [{"type": "distribution", "url": "git+https://git.example/shop.git@c0ffee"}],
        },
        {"type": "library", "name": "torch", "version": "2.9.0+cpu", "purl": "pkg:pypi/torch@2.9.0%2Bcpu"},
    ]


def test_the_list_is_what_the_standard_allows(tmp_path: Path) -> None:
    """Of this project's own packages: what tests run with, and the front end's."""
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "package-lock.json").symlink_to(ROOT / "examples/spa/package-lock.json")
    document = written(tmp_path)
    assert len(document["components"]) > 200
    assert problems(document) == []
    assert problems({**document, "components": [{"type": "library"}]}) != []


def test_a_list_comes_with_each_release_and_goes_with_it(
    shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]
) -> None:
    shop.serve("blue")
    shop.take("begin", kind="deploy", release="NEXT")
    shop.take("build", archive=archive, release="NEXT", tools_requirements="uv", poetry_requirements="poetry")
    assert json.loads((shop.root / "releases/NEXT/.sbom.cdx.json").read_text())["bomFormat"] == "CycloneDX"
