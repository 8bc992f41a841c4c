"""A mirror of Pythons for uv with one in it, the one that runs this, packed as python-build-standalone packs them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

PUBLISHED = "https://github.com/astral-sh/python-build-standalone/releases/download"
VERSION = platform.python_version()
MINOR = VERSION.rpartition(".")[0]
# Not needed to start, to make a virtual environment and to install packages.
LEFT_OUT = ("test", "idlelib", "dist-packages", "site-packages", "ensurepip", "lib2to3", "__pycache__", "config-*")


def make(folder: Path) -> None:
    """Fill a new folder: `1/` has the archive, and known.json tells uv of it (its python-downloads-json-url)."""
    machine = platform.machine()
    name = f"cpython-{VERSION}+1-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    (folder / "1").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "python")
        (root / "bin").mkdir(parents=True)
        shutil.copy(os.path.realpath(sys.executable), root / f"bin/python{MINOR}")
        (root / "bin/python3").symlink_to(f"python{MINOR}")
        ignored = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(sysconfig.get_path("stdlib"), root / f"lib/python{MINOR}", ignore=ignored)
        with tarfile.open(folder / "1" / name, "w:gz", compresslevel=1) as archive:
            archive.add(root, "python")
    key = {"name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu"}
    numbers = dict(zip(("major", "minor", "patch"), map(int, VERSION.split(".")), strict=True))
    more = {"prerelease": "", "url": f"{PUBLISHED}/1/{name.replace('+', '%2B')}", "sha256": None, "variant": None}
    known = {f"cpython-{VERSION}-linux-{machine}-gnu": {**key, **numbers, **more, "build": "1"}}
    (folder / "known.json").write_text(json.dumps(known))
