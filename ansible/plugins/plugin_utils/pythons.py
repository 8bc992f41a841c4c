"""Which Pythons a project is made for, as its own files say."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import tomllib
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.requirements import ABOVE
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

PROJECT = "pyproject.toml"
# Where each file says it, the first that does counts.
PLACES: dict[str, list[tuple[str, ...]]] = {
    "uv.lock": [("requires-python",)],
    "poetry.lock": [("metadata", "python-versions")],
    "pyproject.toml": [("project", "requires-python"), ("tool", "poetry", "dependencies", "python")],
}

# The supported distributions by their Python.
DISTRIBUTIONS = {
    **{"3.10": "Ubuntu 22.04", "3.11": "Debian 12", "3.12": "Ubuntu 24.04"},
    **{"3.13": "Debian 13", "3.14": "Ubuntu 26.04"},
}
PATCHES = 40


def wanted(archive: tarfile.TarFile, requirements: str) -> dict[str, str]:
    """The Pythons that the packed project wants, by the file that says so: its requirements, and what lies beside."""
    return {path.name: said for path, said in asked(partial(read, archive), requirements)}


def asked(text: Callable[[str], str | None], requirements: str) -> Iterator[tuple[PurePosixPath, str]]:
    """The files of a project that say which Python it wants, each with what it says; `text` reads one, or says None."""
    first = PurePosixPath(requirements)
    for path in dict.fromkeys((first, first.parent / PROJECT, PurePosixPath(PROJECT))):
        if path.name in PLACES and (content := text(str(path))) is not None:
            found = toml(path.name, content)
            if said := next(filter(None, (value(found, place) for place in PLACES[path.name])), None):
                specifiers(path.name, said)
                yield path, said


def toml(name: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"The project's {name} is no TOML: {error}. Correct it, or lock again.") from error


def read(archive: tarfile.TarFile, name: str) -> str | None:
    """A file of a packed project, which has those of the folder above in one of their own."""
    inner = f"{ABOVE}/{PurePosixPath(name).name}" if name.startswith("../") else name
    try:
        file = archive.extractfile(inner)
    except KeyError:
        return None
    return file.read().decode(errors="replace") if file else None


def value(content: Any, place: tuple[str, ...]) -> str | None:
    for key in place:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) else None


def fits(version: str, wanted: str) -> bool:
    """Whether a Python is one of those that a file asks for; of a version without its patch, whether any patch is."""
    versions = [version] if version.count(".") > 1 else [f"{version}.{patch}" for patch in range(PATCHES)]
    return any(Version(each) in specifier for specifier in specifiers("", wanted) for each in versions)


def minors(wanted: str) -> list[str]:
    """The versions of Python without their patch that a file asks for, of those that application_python takes."""
    return [minor for minor in (f"3.{number}" for number in range(10, 20)) if fits(minor, wanted)]


def version(minor: str, wanted: str) -> str:
    """What names a Python of a minor version that a file asks for: its first patch where not every one will do."""
    patches = [patch for patch in range(PATCHES) if fits(f"{minor}.{patch}", wanted)]
    return minor if len(patches) == PATCHES else f"{minor}.{patches[0]}"


def ways(wanted: str) -> str:
    """What makes a host have a Python that a file asks for: a variable, or another distribution."""
    fitting = minors(wanted)
    found = [f'set application_python: "{version(minor, wanted)}"' for minor in fitting[:1]]
    hosts = [DISTRIBUTIONS[minor] for minor in fitting if minor in DISTRIBUTIONS]
    return ", ".join([*found, *([f"take a host with {' or '.join(hosts)}"] if hosts else []), ""])


def specifiers(file: str, said: str) -> list[SpecifierSet]:
    """What a file asks for, one way or the other; Poetry has signs of its own."""
    try:
        return [SpecifierSet(",".join(map(plain, parts(way)))) for way in re.split(r"\|\|?", said)]
    except InvalidSpecifier as error:
        raise UserError(
            f"The project's {file} asks for Python {said}, which is no range of versions: write for example >=3.11."
        ) from error


def parts(way: str) -> list[str]:
    joined = re.sub(r"([<>=!~^])\s+", r"\1", way.strip())
    return [part for part in re.split(r"[,\s]+", joined) if part not in ("", "*")]


def plain(part: str) -> str:
    """One condition as Python's packages write it."""
    if sign := re.match(r"(\^|~(?!=))(\d+)(?:\.(\d+))?", part):
        major, minor = int(sign[2]), sign[3]
        above = f"{major}.{int(minor) + 1}" if sign[1] == "~" and minor else str(major + 1)
        return f">={part.lstrip('^~')},<{above}"
    return part if part[0] in "<>=!~" else f"=={part}"
