"""Which packages a lock installs, and which of them come as source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.slipway.host.plugins.module_utils.release.native import normal


class Package(NamedTuple):
    """What a project installs, as far as its files say it; a version is empty where they leave it open."""

    name: str
    version: str = ""
    is_source: bool = False
    is_git: bool = False


def uv(lock: Mapping[str, Any]) -> list[Package]:
    """What the project itself needs, without its groups and extras."""
    entries = {normal(each["name"]): each for each in lock.get("package", [])}
    own = [name for name, each in entries.items() if {"virtual", "editable"} & set(each.get("source", {}))]
    found: dict[str, None] = {}
    todo = list(own or entries)
    while todo:
        name = todo.pop()
        if name not in found and name in entries:
            found[name] = None
            todo += wanted(entries[name].get("dependencies", []), entries)
    return [package(entries[name], "wheels", "url") for name in found if name not in own]


def wanted(dependencies: Iterable[Mapping[str, Any]], entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The packages that dependencies name, with those of the extras that they ask for."""
    names = []
    for each in dependencies:
        name = normal(each["name"])
        optional = entries.get(name, {}).get("optional-dependencies", {})
        names += [
            name,
            *(normal(inner["name"]) for extra in each.get("extra", []) for inner in optional.get(extra, [])),
        ]
    return names


def poetry(lock: Mapping[str, Any]) -> list[Package]:
    return [
        package(each, "files", "file")
        for each in lock.get("package", [])
        if "main" in each.get("groups", [each.get("category", "main")]) and not each.get("optional")
    ]


def package(entry: Mapping[str, Any], files: str, key: str) -> Package:
    """One of a lock. A wheel that fits may yet be missing for the Python of the host, which nobody knows here."""
    source = entry.get("source", {})
    is_git = "git" in source or source.get("type") == "git"
    names = [str(each.get(key) or each.get("filename") or each.get("path", "")) for each in entry.get(files, [])]
    wheels = [name for name in names if name.endswith("-any.whl") or "linux" in name]
    is_source = is_git or (bool(names or entry.get("sdist")) and not wheels)
    return Package(normal(entry["name"]), str(entry.get("version", "")), is_source, is_git)
