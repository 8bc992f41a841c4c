"""A Python that is not the host's: at a path, or a version that uv brings from a mirror, here a folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sysconfig
import tarfile
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import HOST, Pythons, version_of
from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools, Venvs
from repository import ROOT

UV = ROOT / ".cache/uv/bin/uv"
PUBLISHED = "https://github.com/astral-sh/python-build-standalone/releases/download"
VERSION = platform.python_version()
MINOR = VERSION.rpartition(".")[0]
# What Python needs to start and to make a virtual environment.
LIBRARY = ("test", "idlelib", "dist-packages", "site-packages", "ensurepip", "lib2to3", "__pycache__", "config-*")


def pack_python(folder: Path) -> None:
    """The Python that runs this test, as python-build-standalone packs one."""
    machine = platform.machine()
    root = folder / "python"
    (root / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(HOST), root / f"bin/python{MINOR}")
    (root / "bin/python3").symlink_to(f"python{MINOR}")
    ignored = shutil.ignore_patterns(*LIBRARY)
    shutil.copytree(sysconfig.get_path("stdlib"), root / f"lib/python{MINOR}", ignore=ignored)
    name = f"cpython-{VERSION}+1-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    (folder / "mirror/1").mkdir(parents=True)
    with tarfile.open(folder / "mirror/1" / name, "w:gz", compresslevel=1) as archive:
        archive.add(root, "python")
    key = {"name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu"}
    numbers = dict(zip(("major", "minor", "patch"), map(int, VERSION.split(".")), strict=True))
    more = {"prerelease": "", "url": f"{PUBLISHED}/1/{name.replace('+', '%2B')}", "sha256": None, "variant": None}
    known = {f"cpython-{VERSION}-linux-{machine}-gnu": {**key, **numbers, **more, "build": "1"}}
    (folder / "known.json").write_text(json.dumps(known))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """The real uv, which knows of one Python."""
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(tmp_path / "known.json"))
    (tmp_path / "tools/bin").mkdir(parents=True)
    (tmp_path / "tools/bin/uv").symlink_to(UV)
    return Tools(str(tmp_path), Log(str(tmp_path), "1"))


@pytest.mark.skipif(version_of(HOST) != VERSION, reason="this test runs with another Python than the system's")
def test_a_version_comes_from_a_mirror_once_and_goes_with_its_last_environment(tmp_path: Path, tools: Tools) -> None:
    pack_python(tmp_path)
    pythons = Pythons(str(tmp_path), MINOR, f"file://{tmp_path}/mirror")
    path = pythons.provide(tools)
    assert path.startswith(f"{tmp_path}/pythons/cpython-{VERSION}-")
    # No link that a newer patch would move under a release, and nothing that others may write to.
    assert [name for name in os.listdir(pythons.folder) if name[0] != "."] == [Path(path).parts[-3]]
    found = subprocess.run(["find", f"{tmp_path}/pythons", "-perm", "-o+w", "!", "-type", "l"], capture_output=True)
    assert found.stdout == b""
    shutil.rmtree(tmp_path / "mirror")
    assert pythons.provide(tools) == path

    (tmp_path / "list.txt").write_text("")
    venvs = Venvs(str(tmp_path), "root", pythons)
    venv = venvs.install(tools, str(tmp_path / "list.txt"), path)
    assert os.path.realpath(f"{venv}/bin/python") == path
    assert venv != venvs.path(str(tmp_path / "list.txt"), HOST)
    venvs.prune({os.path.basename(venv)})
    assert pythons.present() == path
    venvs.prune(set())
    assert pythons.present() is None


def test_a_version_that_no_mirror_has_is_refused_with_what_to_change(tmp_path: Path, tools: Tools) -> None:
    (tmp_path / "known.json").write_text("{}")
    refused = r"uv cannot bring Python 3\.14, .*: No download found for request: cpython-3\.14.*\. Name a version"
    with pytest.raises(UserError, match=refused):
        Pythons(str(tmp_path), "3.14", "").provide(tools)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("3.14", "cpython-3.14.10-linux"), ("3.14.9", "cpython-3.14.9-linux"), ("3.1", None), ("3.13", None)],
)
def test_the_newest_patch_that_is_here_is_taken(tmp_path: Path, wanted: str, found: str | None) -> None:
    for name in ("cpython-3.14.9-linux", "cpython-3.14.10-linux"):
        (tmp_path / "pythons" / name / "bin").mkdir(parents=True)
        (tmp_path / "pythons" / name / "bin/python3.14").touch()
    path = Pythons(str(tmp_path), wanted, "").present()
    assert path == (f"{tmp_path}/pythons/{found}/bin/python3.14" if found else None)


def test_a_path_is_taken_as_it_is_and_must_run(tmp_path: Path) -> None:
    assert Pythons(str(tmp_path), "/opt/python", "").present() == "/opt/python"
    with pytest.raises(UserError, match="application_python /opt/python does not run on this host: install it"):
        version_of("/opt/python")
