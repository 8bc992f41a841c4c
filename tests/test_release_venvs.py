"""Virtual environments and the tools that make them: once for each content, and whole or not at all."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.pythons import HOST, Pythons
from ansible_collections.slipway.host.plugins.module_utils.release.venvs import PROOF, Tools, Venvs


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds what the project's user may not use, which is nobody here: becoming another user takes root."""
    reason = tmp_path / "closed"
    (tmp_path / "path").mkdir()
    setpriv = tmp_path / "path/setpriv"
    setpriv.write_text(f'#!/bin/sh\n! cat {reason} 2>/dev/null || exit 1\nshift 3\nexec "$@"\n')
    setpriv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{setpriv.parent}:{os.environ['PATH']}")
    return reason


@pytest.fixture
def tools(tmp_path: Path, closed: Path) -> Tools:
    """Tools of which uv is a script that writes down how it is called."""
    uv = tmp_path / "tools/bin/uv"
    uv.parent.mkdir(parents=True)
    make = "case $1 in venv) mkdir -p $4/bin $4/lib; ln -sf /usr/bin/python3 $4/bin/python ;; esac"
    uv.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n{make}\n')
    uv.chmod(0o755)
    return Tools(str(tmp_path), Log(str(tmp_path), "1"))


@pytest.fixture
def requirements(tmp_path: Path) -> str:
    (tmp_path / "list.txt").write_text("django==5.2 --hash=sha256:0\n")
    return str(tmp_path / "list.txt")


def prepare(venvs: Venvs, requirements: str) -> Path:
    path = Path(venvs.path(requirements, HOST))
    path.mkdir(parents=True)
    return path


def test_an_environment_is_made_once(tmp_path: Path, tools: Tools, requirements: str) -> None:
    venvs = Venvs(str(tmp_path), "shop", Pythons(str(tmp_path), "", ""))
    path = prepare(venvs, requirements)
    for _ in range(2):
        assert venvs.install(tools, requirements, HOST) == str(path)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[:2] for call in calls] == [["venv", "--clear"], ["pip", "sync"]]
    assert f"--require-hashes --compile-bytecode --python={path}/bin/python {requirements}" in calls[1]


def test_nobody_else_may_write_to_a_lock_of_uv(tmp_path: Path, tools: Tools) -> None:
    locks = [tmp_path / path for path in ("tools/cache/.lock", "tools/cache/wheels/django.lock", "venvs/1/.lock")]
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        lock.chmod(0o666)
    tools.uv("pip", "sync")
    assert [lock.stat().st_mode & 0o777 for lock in locks] == [0o644] * 3


def test_an_environment_that_fails_does_not_count(tmp_path: Path, tools: Tools, requirements: str) -> None:
    (tmp_path / "tools/bin/uv").write_text("#!/bin/sh\necho 'error: No such package' >&2\nexit 1\n")
    venvs = Venvs(str(tmp_path), "shop", Pythons(str(tmp_path), "", ""))
    path = prepare(venvs, requirements)
    with pytest.raises(UserError, match=r"The packages cannot be installed: No such package\.") as refused:
        venvs.install(tools, requirements, HOST)
    assert refused.value.journal == ["error: No such package"]
    assert "No such package" in (tmp_path / "logs/1.log").read_text()
    assert not venvs.is_complete(str(path))
    venvs.discard_incomplete()
    assert not path.exists()


def test_an_environment_that_the_projects_user_may_not_use_does_not_count(
    tmp_path: Path, tools: Tools, requirements: str, closed: Path
) -> None:
    """Once marked, it kept each later deploy from serving."""
    venvs = Venvs(str(tmp_path), "shop", Pythons(str(tmp_path), "", ""))
    closed.write_text("/srv/shop/venvs/1/lib\n")
    with pytest.raises(
        UserError, match=r"The user shop may not use the virtual environment .*: /srv/shop/venvs/1/lib\."
    ):
        venvs.install(tools, requirements, HOST)
    assert not venvs.is_complete(venvs.path(requirements, HOST))


def test_an_environment_that_was_closed_since_is_made_anew(
    tmp_path: Path, tools: Tools, requirements: str, closed: Path
) -> None:
    venvs = Venvs(str(tmp_path), "shop", Pythons(str(tmp_path), "", ""))
    path = Path(venvs.install(tools, requirements, HOST))
    closed.write_text("closed\n")
    uv = tmp_path / "tools/bin/uv"
    uv.write_text(uv.read_text() + f"rm -f {closed}\n")
    assert venvs.install(tools, requirements, HOST) == str(path)
    calls = [call.split()[0] for call in (tmp_path / "calls").read_text().splitlines()]
    assert calls == ["venv", "pip", "venv", "pip"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize(("mode", "proven"), [(0o755, True), (0o744, False), (0o700, False)])
def test_another_user_proves_what_it_may_use(mode: int, proven: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lib").mkdir()
        (Path(folder) / "lib/dangling").symlink_to("nowhere")
        Path(folder).chmod(0o755)
        (Path(folder) / "lib").chmod(mode)
        who = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-I", "-c"]
        done = subprocess.run([*who, PROOF, folder], capture_output=True, text=True, check=False)
        assert (done.returncode == 0, done.stderr.strip()) == (proven, "" if proven else f"{folder}/lib")


def test_tools_are_installed_where_their_list_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(Log, "require", lambda self, *words: commands.append(words))
    tools = Tools(str(tmp_path), Log(str(tmp_path), "1"))
    (tmp_path / "poetry").mkdir()
    for text, runs in (("poetry==2\n", 2), ("poetry==2\n", 2), ("poetry==3\n", 4)):
        tools.equip("poetry", text)
        assert len(commands) == runs
    assert commands[1][1:3] == (f"{tmp_path}/poetry/bin/pip", "install")
    assert "--require-hashes" in commands[1]


def test_a_command_that_fails_is_told_with_its_end(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^It cannot be made: two\.$") as refused:
        Log(str(tmp_path), "1").require("It cannot be made", "sh", "-c", "echo one; echo two; exit 1")
    assert refused.value.journal == ["one", "two"]
    assert (tmp_path / "logs/1.log").read_text() == "$ sh -c echo one; echo two; exit 1\none\ntwo\n"
