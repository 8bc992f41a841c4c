"""What a project needs that its own requirements do not name: of the distribution, of Python, and which Python."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.release import native
from ansible_collections.slipway.host.plugins.plugin_utils import pythons

from init.code import text_of
from init.part import Part
from init.requirements import Requirements
from init.settings import Settings

DRIVERS = {"psycopg", "psycopg-binary", "psycopg-c", "psycopg2", "psycopg2-binary", "psycopg2cffi"}


def system(requirements: Requirements, settings: Settings) -> Part:
    """Debian packages for what is known to need them."""
    found = native.needs(requirements.packages, requirements.sources)
    found += ["git"] if requirements.has_git else []
    found += ["gdal-bin"] if re.search(r"django\.contrib\.gis|postgis", settings.text) else []
    return Part(packages=found)


def driver(database: Part, given: str | None, requirements: Requirements) -> Part:
    """Django's driver for PostgreSQL, where the project has that database and installs none."""
    is_postgresql = "database" in database.groups or (given or "").startswith(("postgres", "postgis", "pgsql", "psql"))
    if not is_postgresql or DRIVERS & requirements.packages:
        return Part()
    django = requirements.installed.get("django")
    is_old = bool(django and re.match(r"[1-3]\.|4\.[01](\.|$)", django.version))
    return added("psycopg2-binary" if is_old else "psycopg[binary]", "which PostgreSQL needs", requirements)


def added(package: str, why: str, requirements: Requirements) -> Part:
    """A package that the inventory adds, and a note that it does."""
    name = package.partition("[")[0]
    note = f"{requirements.file} has no {name}, {why}: application_python_packages adds {package}."
    return Part(python_packages=[package], notes=[note])


def python(folder: Path, requirements: Requirements) -> Part:
    """The one Python that the project is made for, or which systems have none of those that it is made for."""
    notes = []
    for path, said in pythons.asked(lambda name: content(folder / name), requirements.file):
        if len(minors := pythons.minors(said)) == 1:
            note = f"{path} asks for Python {said}: application_python brings it to hosts that have another."
            return Part(variables={"application_python": pythons.version(minors[0], said)}, notes=[note])
        if not minors:
            note = f"{path} asks for Python {said}, and projects run here with 3.10 or later: lock it for one of these."
            return Part(notes=[note])
        fit = [name for minor, name in pythons.DISTRIBUTIONS.items() if pythons.fits(minor, said)]
        have = f"which of the systems for hosts {' and '.join(fit)} {'has' if len(fit) == 1 else 'have'}"
        note = (
            f"{path} asks for Python {said}, {have if fit else 'which none of the systems for hosts has'}: take "
            "such a host, or name the Python in application_python."
        )
        notes += [note] if len(fit) < len(pythons.DISTRIBUTIONS) else []
    return Part(notes=notes[:1])


def content(path: Path) -> str | None:
    return text_of(path) if path.is_file() else None
