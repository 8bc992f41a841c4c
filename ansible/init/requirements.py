"""The file that says which packages a project needs."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.code import text_of
from init.source import Source

# The most exact one first.
FILES = (
    *("uv.lock", "poetry.lock", "requirements/production.txt", "requirements/prod.txt", "requirements.txt"),
    *("requirements/base.txt", "pyproject.toml"),
)


@dataclass(frozen=True)
class Requirements:
    """A path from the project's folder, the names of the packages in it, and the files that it replaces."""

    file: str
    packages: frozenset[str]
    unused: tuple[str, ...]


def read_requirements(source: Source, given: str | None) -> Requirements:
    if given:
        require_file(source, given)
        found = [given]
    else:
        found = next(filter(None, (files_in(source.folder, way) for way in ways_up(source))), [])
    if not found:
        raise UserError(
            f"There is no uv.lock, poetry.lock, requirements.txt or pyproject.toml in {source.folder}: write down "
            "what the project needs, or give the file with REQUIREMENTS=... (--requirements)."
        )
    file, *others = found
    parts = set(map(str, includes(source.folder, file)))
    unused = [name for name in others if name not in parts and Path(name).name != "pyproject.toml"]
    return Requirements(file, frozenset(packages(source.folder, file)), tuple(unused))


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
    return [f"{way}{name}" for name in FILES if (folder / way / name).is_file()]


def includes(folder: Path, file: str) -> list[Path]:
    """The files that a file of requirements includes, relative to the folder."""
    found = re.findall(r"^(?:-r|--requirement)[ =]*(\S+)", text_of(folder / file), re.MULTILINE)
    return [Path(file).parent / name for name in found]


def packages(folder: Path, file: str) -> set[str]:
    """The names of the packages that a file of requirements asks for."""
    text = text_of(folder / file)
    for included in includes(folder, file):
        with contextlib.suppress(OSError):
            text += "\n" + text_of(folder / included)
    names = re.findall(r"^([A-Za-z][\w.-]*)", text, re.MULTILINE)
    names += re.findall(r"^name = \"([\w.-]+)\"", text, re.MULTILINE)
    names += re.findall(r"[\"']([A-Za-z][\w.-]*)(?:\[[\w, -]*\])?\s*(?:[<>=~!;][^\"']*)?[\"']", text)
    if re.search(r"\bchannels\[[^\]]*daphne", text):
        names.append("daphne")
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}
