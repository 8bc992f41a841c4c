"""Which packages of the distribution and of Python `make init` adds, and what it says of Python itself."""

from pathlib import Path

import pytest
from init_project import WSGI, init, make, written

LINUX = "https://files.example/{}-1-cp312-cp312-manylinux2014_x86_64.whl"
WINDOWS = "https://files.example/{}-1-cp312-cp312-win_amd64.whl"
M2CRYPTO = ["build-essential", "libssl-dev", "python3-dev", "swig"]
PROJECT = '[project]\nname = "shop"\nrequires-python = "{}"\n'
ROOT = '[[package]]\nname = "site"\nsource = {{ virtual = "." }}\ndependencies = [{}]\n'


def entry(name: str, *wheels: str, source: str = 'registry = "here"', more: str = "") -> str:
    urls = ", ".join(f'{{ url = "{wheel.format(name)}" }}' for wheel in wheels)
    sdist = f'{{ url = "https://files.example/{name}-1.tar.gz" }}'
    return (
        f'[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ {source} }}\n{more}'
        f"sdist = {sdist}\nwheels = [{urls}]\n"
    )


def locked(*names: str, entries: str) -> dict[str, str]:
    root = ROOT.format(", ".join(f'{{ name = "{name}" }}' for name in ("gunicorn", *names)))
    return {"shop/wsgi.py": "", "uv.lock": root + entry("gunicorn", LINUX) + entries}


@pytest.mark.parametrize(
    ("requirements", "packages"),
    [
        ("psycopg2==2.9.10", ["build-essential", "libpq-dev", "python3-dev"]),
        ("psycopg[c,pool]>=3.2", ["build-essential", "libpq-dev", "python3-dev"]),
        ("psycopg[binary]", None),
        ("psycopg[pool]", ["libpq5"]),
        ("psycopg2-binary\nPillow\nlxml", None),
        ("Python_Magic", ["libmagic1"]),
        ("shop @ git+https://git.example/shop.git", ["git"]),
        ("-e git+https://git.example/shop.git#egg=shop", ["git"]),
        ("git+https://git.example/shop.git@v1", ["git"]),
        ("WeasyPrint==66.0 --hash=sha256:00", ["libpango-1.0-0", "libpangoft2-1.0-0"]),
        ("-r more.txt", ["libcairo2"]),
        ("# python-magic", None),
    ],
)
def test_what_lists_name_is_known_to_need_packages(
    tmp_path: Path, requirements: str, packages: list[str] | None
) -> None:
    files = {"requirements.txt": f"gunicorn\n{requirements}\n", "more.txt": "-r last.txt\n", "last.txt": "cairosvg\n"}
    make(tmp_path, **{**WSGI, **files})
    assert written(tmp_path).get("application_packages") == packages


@pytest.mark.parametrize(
    ("entries", "packages"),
    [
        (entry("lxml", LINUX), None),
        (entry("lxml", WINDOWS), ["build-essential", "libxml2-dev", "libxslt1-dev", "python3-dev"]),
        (entry("lxml"), ["build-essential", "libxml2-dev", "libxslt1-dev", "python3-dev"]),
        (entry("shop", source='git = "https://git.example/shop"'), ["git"]),
        (entry("psycopg2", LINUX), None),
        (entry("lxml", LINUX, more='dependencies = [{ name = "m2crypto" }]\n') + entry("m2crypto"), M2CRYPTO),
    ],
)
def test_a_lock_says_what_comes_as_source(tmp_path: Path, entries: str, packages: list[str] | None) -> None:
    make(tmp_path, **locked("lxml", "psycopg2", "shop", entries=entries))
    assert written(tmp_path).get("application_packages") == packages


def test_groups_of_a_lock_that_are_not_installed_need_nothing(tmp_path: Path) -> None:
    make(tmp_path, **locked(entries=entry("psycopg2", WINDOWS)))
    assert "application_packages" not in written(tmp_path)


@pytest.mark.parametrize(("groups", "installed"), [('["main"]', True), ('["dev"]', False)])
def test_a_lock_of_poetry_has_its_groups_too(tmp_path: Path, groups: str, installed: bool) -> None:
    lock = f'[[package]]\nname = "psycopg2"\ngroups = {groups}\nfiles = [{{ file = "p-win_amd64.whl" }}]\n'
    make(tmp_path, **{"shop/wsgi.py": "", "poetry.lock": lock})
    assert ("application_packages" in written(tmp_path)) == installed


def test_geodjango_needs_its_libraries(tmp_path: Path) -> None:
    make(tmp_path, "INSTALLED_APPS = ['django.contrib.gis']")
    assert written(tmp_path)["application_packages"] == ["gdal-bin"]


@pytest.mark.parametrize(
    ("requirements", "driver"),
    [
        ("django\ngunicorn\n", ["psycopg[binary]"]),
        ("django==4.1.13\ngunicorn\n", ["psycopg2-binary"]),
        ("django==4.2\ngunicorn\n", ["psycopg[binary]"]),
        ("gunicorn\npsycopg2-binary\n", None),
    ],
)
def test_the_driver_of_postgresql_is_added_where_there_is_none(
    tmp_path: Path, requirements: str, driver: list[str] | None
) -> None:
    make(tmp_path, "env('DATABASE_URL')", **{**WSGI, "requirements.txt": requirements})
    assert written(tmp_path).get("application_python_packages") == driver


def test_no_driver_is_added_for_a_database_that_is_a_file(tmp_path: Path) -> None:
    make(tmp_path, "env('DATABASE_URL')")
    assert "application_python_packages" not in written(tmp_path, "--database=sqlite:///shop.db")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (">=3.14,<3.16", "which of the systems for hosts Ubuntu 26.04 has: take such a host, or name the Python in"),
        (">=3.13", "which of the systems for hosts Debian 13 and Ubuntu 26.04 have"),
        (">=3.15", "which none of the systems for hosts has"),
        ("<3.10", "asks for Python <3.10, and projects run here with 3.10 or later: lock it for one of these."),
        (">=3.10", None),
    ],
)
def test_a_python_that_not_every_host_has_is_told(tmp_path: Path, wanted: str, words: str | None) -> None:
    make(tmp_path, **WSGI, **{"pyproject.toml": PROJECT.format(wanted)})
    told = init(tmp_path)
    assert ("pyproject.toml asks for Python" in told) == bool(words)
    assert not words or words in told


@pytest.mark.parametrize(
    ("wanted", "minor"),
    [
        ("==3.13.*", "3.13"),
        (">=3.13,<3.14", "3.13"),
        ("==3.12.4", "3.12.4"),
        (">=3.12.4,<3.13", "3.12.4"),
        (">=3.13", None),
    ],
)
def test_the_one_python_that_a_project_is_made_for_is_brought(tmp_path: Path, wanted: str, minor: str | None) -> None:
    make(tmp_path, **WSGI, **{"pyproject.toml": PROJECT.format(wanted)})
    assert written(tmp_path).get("application_python") == minor
