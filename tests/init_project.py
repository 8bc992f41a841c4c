"""Small projects for `make init`, and what it makes of them, without a process of its own."""

import contextlib
import io
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.cli import main

GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
# The smallest project of each kind; a test adds or replaces files.
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
WSGI = {"shop/wsgi.py": "", "requirements.txt": "django\ngunicorn\n"}
LOCK = '[[package]]\nname = "gunicorn"\nversion = "23.0.0"\n'
BASE = "BASE_DIR = Path(__file__).resolve().parent.parent\n"
CELERY = {"shop/celery.py": "from celery import Celery\napp = Celery('shop')\n"}


def checkout(folder: Path) -> None:
    subprocess.run([*GIT, "init", "--quiet", folder], check=True)


def make(tmp_path: Path, settings: str = "", folder: str = "", **files: str) -> Path:
    """A checkout of a project whose settings and other files are given."""
    files = {"manage.py": MANAGE, "shop/__init__.py": "", "shop/settings.py": settings, **(files or WSGI)}
    for name, text in files.items():
        path = tmp_path / "source" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    checkout(tmp_path / "source")
    return tmp_path / "source"


def words(tmp_path: Path, *options: str) -> list[str]:
    """A command line; an option that is given twice counts as it is given last."""
    usual = {"name": "shop", "domain": "shop.example", "source": tmp_path / "source"}
    usual["inventories"] = tmp_path / "inventories"
    return [*(f"--{name}={value}" for name, value in usual.items()), *options]


def init(tmp_path: Path, *options: str) -> str:
    """What it tells somebody who cannot be asked."""
    with contextlib.redirect_stdout(io.StringIO()) as told, mock.patch("sys.stdin", io.StringIO()):
        main(words(tmp_path, *options))
    return told.getvalue()


def refusal(tmp_path: Path, *options: str) -> str:
    """The sentence that it ends with, having written nothing."""
    with pytest.raises(UserError) as refused:
        init(tmp_path, *options)
    assert not list(tmp_path.glob("inventories/shop/*"))
    return str(refused.value)


def written(tmp_path: Path, *options: str) -> dict[str, Any]:
    """All variables of the inventory that it writes."""
    init(tmp_path, *options)
    files = sorted((tmp_path / "inventories/shop/group_vars/all").glob("*.yml"))
    return {name: value for path in files for name, value in yaml.safe_load(path.read_text()).items()}


def groups(tmp_path: Path) -> list[str]:
    return [name for name in yaml.safe_load((tmp_path / "inventories/shop/hosts.yml").read_text()) if name != "single"]


def commands(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["command"] for each in found["application_processes"]}
