"""Virtual environments and the tools that make them: once for each content, and whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools, Venvs


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """Tools of which uv is a script that writes down how it is called."""
    uv = tmp_path / "tools/bin/uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n[ "$1" != venv ] || mkdir -p {tmp_path}/made\n')
    uv.chmod(0o755)
    return Tools(str(tmp_path), Log(str(tmp_path), "1"))


@pytest.fixture
def requirements(tmp_path: Path) -> str:
    (tmp_path / "list.txt").write_text("django==5.2 --hash=sha256:0\n")
    return str(tmp_path / "list.txt")


def prepare(venvs: Venvs, requirements: str) -> Path:
    path = Path(venvs.path(requirements))
    path.mkdir(parents=True)
    return path


def test_an_environment_is_made_once(tmp_path: Path, tools: Tools, requirements: str) -> None:
    venvs = Venvs(str(tmp_path))
    path = prepare(venvs, requirements)
    for _ in range(2):
        assert venvs.install(tools, requirements) == str(path)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[:2] for call in calls] == [["venv", "--clear"], ["pip", "sync"]]
    assert f"--require-hashes --compile-bytecode --python={path}/bin/python {requirements}" in calls[1]


def test_an_environment_that_fails_does_not_count(tmp_path: Path, tools: Tools, requirements: str) -> None:
    (tmp_path / "tools/bin/uv").write_text("#!/bin/sh\necho 'error: No such package' >&2\nexit 1\n")
    venvs = Venvs(str(tmp_path))
    path = prepare(venvs, requirements)
    with pytest.raises(UserError, match=r"The packages cannot be installed: No such package\.") as refused:
        venvs.install(tools, requirements)
    assert refused.value.journal == ["error: No such package"]
    assert "No such package" in (tmp_path / "logs/1.log").read_text()
    assert not venvs.is_complete(str(path))
    venvs.discard_incomplete()
    assert not path.exists()


def test_tools_are_installed_where_their_list_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(Log, "require", lambda self, *words: commands.append(words))
    tools = Tools(str(tmp_path), Log(str(tmp_path), "1"))
    (tmp_path / "poetry").mkdir()
    for text, runs in (("poetry==2\n", 2), ("poetry==2\n", 2), ("poetry==3\n", 4)):
        tools.equip("poetry", text)
        assert len(commands) == runs
    assert commands[1][:2] == (f"{tmp_path}/poetry/bin/pip", "install")
    assert "--require-hashes" in commands[1]


def test_a_command_that_fails_is_told_with_its_end(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`sh -c echo one; echo two; exit 1 \.\.\.` failed") as refused:
        Log(str(tmp_path), "1").require("sh", "-c", "echo one; echo two; exit 1")
    assert refused.value.journal == ["one", "two"]
    assert (tmp_path / "logs/1.log").read_text() == "$ sh -c echo one; echo two; exit 1\none\ntwo\n"
