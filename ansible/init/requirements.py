"""The file that says which packages a project needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.native import SOURCES, normal
from ansible_collections.slipway.host.plugins.plugin_utils import pythons

from init import locks
from init.code import text_of
from init.locks import Package
from init.source import Source

STAGES = ("production", "prod", "deploy", "live", "server")
# The most exact one first.
FILES = (
    *("uv.lock", "poetry.lock"),
    *(shape.format(stage) for shape in ("requirements/{}.txt", "requirements-{}.txt") for stage in STAGES),
    *(f"requirements_{stage}.txt" for stage in STAGES),
    *("requirements.txt", "requirements/requirements.txt", "requirements/base.txt", "requirements/common.txt"),
    *("requirements/main.txt", "pyproject.toml"),
)
# What is not read, and the command that makes a list of it.
OTHERS = {
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "Pipfile": "pipenv lock && pipenv requirements > requirements.txt",
    "pdm.lock": "pdm export --output requirements.txt",
    "environment.yml": "conda run --name {} pip list --format=freeze > requirements.txt",
    "environment.yaml": "conda run --name {} pip list --format=freeze > requirements.txt",
    "requirements.in": "uv pip compile requirements.in --output-file requirements.txt",
    "requirements/production.in": "uv pip compile requirements/production.in --output-file requirements.txt",
    "requirements/base.in": "uv pip compile requirements/base.in --output-file requirements.txt",
    "setup.cfg": "uv pip compile setup.cfg --output-file requirements.txt",
    "setup.py": "uv pip compile setup.py --output-file requirements.txt",
}
# What an extra of a package brings, where it decides how the project runs or is built.
EXTRAS = {
    ("celery", "redis"): "redis",
    ("channels", "daphne"): "daphne",
    ("psycopg", "binary"): "psycopg-binary",
    ("psycopg", "c"): "psycopg-c",
}
REQUIREMENT = re.compile(r"([A-Za-z][\w.-]*)\s*(?:\[([\w\s,.-]*)\])?(?:\s*===?\s*([\w.]+))?")


@dataclass(frozen=True)
class Requirements:
    """A path from the project's folder, the packages in it by name, and the files that it replaces."""

    file: str
    installed: dict[str, Package]
    unused: tuple[str, ...]

    @property
    def packages(self) -> frozenset[str]:
        return frozenset(self.installed)

    @property
    def sources(self) -> list[str]:
        return [name for name, package in self.installed.items() if package.is_source]

    @property
    def has_git(self) -> bool:
        return any(package.is_git for package in self.installed.values())


def read_requirements(source: Source, given: str | None) -> Requirements:
    if given:
        require_file(source, given)
        found = [given]
    else:
        found = next(filter(None, (files_in(source.folder, way) for way in ways_up(source))), [])
    if not found:
        raise UserError(unread(source))
    file, *others = found
    parts = {os.path.normpath(path) for path in included(source.folder, file)}
    unused = [name for name in others if os.path.normpath(name) not in parts and Path(name).name != "pyproject.toml"]
    way = file[: -len(file.lstrip("./"))] if file.startswith("../") else ""
    unused += [f"{way}{name}" for name in OTHERS if name.endswith(".lock") and (source.folder / way / name).is_file()]
    packages = installed(source.folder, file)
    return Requirements(file, {package.name: package for package in packages}, tuple(unused))


def unread(source: Source) -> str:
    """What to do about a project without a file of requirements that can be read."""
    for way in ways_up(source):
        for name, command in OTHERS.items():
            if (path := source.folder / way / name).is_file():
                called = re.search(r"^name:\s*(\S+)", text_of(path), re.MULTILINE)
                command = command.format(called[1] if called else "base")
                return (
                    f"{path} says what the project needs, and is not read: run `{command}` in {path.parent}, and "
                    "commit requirements.txt."
                )
    return (
        f"There is no uv.lock, poetry.lock, requirements.txt or pyproject.toml in {source.folder}: write down "
        "what the project needs, or give the file with REQUIREMENTS=... (--requirements)."
    )


def require_file(source: Source, given: str) -> None:
    path = source.folder / given
    if not path.is_file():
        raise UserError(
            f"There is no {given} in {source.folder}: give a path from there with REQUIREMENTS=... (--requirements), "
            "such as ../requirements.txt."
        )
    if not Path(os.path.normpath(path)).is_relative_to(source.root):
        raise UserError(f"REQUIREMENTS lies outside of SOURCE: name a file in {source.root}.")


def ways_up(source: Source) -> list[str]:
    """From the project's folder to the root of its source: "", "../" and so on."""
    return ["../" * up for up in range(len(source.folder.relative_to(source.root).parts) + 1)]


def files_in(folder: Path, way: str) -> list[str]:
    """The files of requirements of a folder; a pyproject.toml may be there for tools alone."""
    found = [f"{way}{name}" for name in FILES if (folder / way / name).is_file()]
    return [name for name in found if Path(name).name != "pyproject.toml" or dependencies(toml(folder / name))]


def toml(path: Path) -> dict[str, Any]:
    return pythons.toml(path.name, text_of(path))


def dependencies(project: dict[str, Any]) -> list[str]:
    """What a pyproject.toml asks for, in the manner of pip; Poetry has names with a version each."""
    own = project.get("project", {}).get("dependencies", [])
    poetry = project.get("tool", {}).get("poetry", {}).get("dependencies", {})
    extras = {name: each.get("extras", []) if isinstance(each, dict) else [] for name, each in poetry.items()}
    return [*own, *(f"{name}[{','.join(extra)}]" for name, extra in extras.items() if name != "python")]


def included(folder: Path, file: str, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The files that a file of requirements includes, and those that they do, relative to the folder."""
    for name in re.findall(r"^(?:-r|--requirement)[ =]*(\S+)", text_of(folder / file), re.MULTILINE):
        path = Path(file).parent / name
        if str(path) not in seen and (folder / path).is_file():
            yield path
            yield from included(folder, str(path), seen | {str(path)})


def installed(folder: Path, file: str) -> list[Package]:
    """The packages that a file of requirements stands for, as far as it tells."""
    path = folder / file
    if path.name == "uv.lock":
        return locks.uv(toml(path))
    if path.name == "poetry.lock":
        return locks.poetry(toml(path))
    if path.name == "pyproject.toml":
        return listed(dependencies(toml(path)))
    texts = [text_of(path), *(text_of(folder / each) for each in included(folder, file))]
    return listed(line for text in texts for line in text.splitlines())


def listed(lines: Iterator[str] | list[str]) -> list[Package]:
    """The packages of lines that pip takes."""
    found = []
    for line in lines:
        address = "git+" in line.partition("#")[0]
        egg = re.search(r"#egg=([\w.-]+)", line)
        match = REQUIREMENT.match(egg[1] if egg else line.strip())
        if match and (egg or not re.match(r"[\w+.-]+://|git\+", line)):
            name = normal(match[1])
            names = [name, *(EXTRAS.get((name, extra.strip()), "") for extra in (match[2] or "").split(","))]
            found += [Package(each, match[3] or "", each in SOURCES, address) for each in filter(None, names)]
        elif address:
            found.append(Package(line.strip(), is_git=True))
    return found
