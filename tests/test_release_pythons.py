"""A Python that is not the host's: at a path, or a version that uv brings from a mirror, here a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import python_mirror
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import pythons as module
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import HOST, Pythons, version_of
from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools, Venvs
from python_mirror import MINOR, VERSION
from repository import ROOT

UV = ROOT / ".cache/uv/bin/uv"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """The real uv, which knows of one Python."""
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(tmp_path / "mirror/known.json"))
    (tmp_path / "tools/bin").mkdir(parents=True)
    (tmp_path / "tools/bin/uv").symlink_to(UV)
    return Tools(str(tmp_path), Log(str(tmp_path), "1"))


@pytest.fixture
def other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose own Python is none that anybody asks for."""
    host = tmp_path / "host-python"
    host.write_text("#!/bin/sh\necho 3.0.0\n")
    host.chmod(0o755)
    monkeypatch.setattr(module, "HOST", str(host))


def test_a_version_comes_from_a_mirror_once_and_goes_with_its_last_environment(
    tmp_path: Path, tools: Tools, other_host: None
) -> None:
    python_mirror.make(tmp_path / "mirror")
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
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/known.json").write_text("{}")
    refused = r"uv cannot bring Python 3\.14, .*: No download found for request: cpython-3\.14.*\. Name a version"
    with pytest.raises(UserError, match=refused):
        Pythons(str(tmp_path), "3.14", "").provide(tools)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("3.14", "cpython-3.14.10-linux"), ("3.14.9", "cpython-3.14.9-linux"), ("3.1", None), ("3.13", None)],
)
def test_the_newest_patch_that_is_here_is_taken(
    tmp_path: Path, wanted: str, found: str | None, other_host: None
) -> None:
    for name in ("cpython-3.14.9-linux", "cpython-3.14.10-linux"):
        (tmp_path / "pythons" / name / "bin").mkdir(parents=True)
        (tmp_path / "pythons" / name / "bin/python3.14").touch()
    path = Pythons(str(tmp_path), wanted, "").present()
    assert path == (f"{tmp_path}/pythons/{found}/bin/python3.14" if found else None)


def test_a_path_is_taken_as_it_is_and_must_run(tmp_path: Path) -> None:
    assert Pythons(str(tmp_path), "/opt/python", "").present() == "/opt/python"
    with pytest.raises(UserError, match="application_python /opt/python does not run on this host: install it"):
        version_of("/opt/python")


@pytest.mark.parametrize(("wanted", "own"), [("3.11", True), ("3.11.9", True), ("3.11.8", False), ("3.1", False)])
def test_the_host_s_own_python_is_taken_where_it_is_that_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, own: bool
) -> None:
    monkeypatch.setattr(module, "version_of", lambda _: "3.11.9")
    assert Pythons(str(tmp_path), wanted, "").present() == (HOST if own else None)
