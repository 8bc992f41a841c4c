"""The project's own commands that build a release, and that prepare it."""

from __future__ import annotations

import os
import pwd
import time
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from release_host import PlayedHost

TOOLS: dict[str, Any] = {"release": "NEXT", "tools_requirements": "uv", "poetry_requirements": "poetry"}
BUILD = {"build_commands": ["npm ci", "echo $PWD"], "command_timeout_seconds": 60}


@pytest.fixture
def begun(shop: PlayedHost, archive: str, commands: list[tuple[str, ...]]) -> PlayedHost:
    """NEXT is about to be built."""
    shop.serve("blue")
    shop.take("begin", kind="deploy", release="NEXT")
    return shop


def build(shop: PlayedHost, archive: str, **project: Any) -> None:
    shop.take("build", {**BUILD, **project}, archive=archive, **TOOLS)


def test_a_release_is_built_by_the_project_before_its_static_files_are_collected(
    begun: PlayedHost, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: list[int] = []
    folder = begun.root / "releases/NEXT"
    monkeypatch.setattr(os, "chown", lambda name, uid, gid, **where: owners.append(uid))

    def transient(words: tuple[str, ...]) -> tuple[int, str, str]:
        assert begun.systemd.steps == []
        assert owners[-1] == pwd.getpwnam("daemon").pw_uid
        return 0, "done", ""

    begun.systemd.transient = transient
    build(begun, archive, user="daemon")
    assert owners[-1] == 0
    assert [words[-3:] for words in begun.systemd.transients] == [
        ("/bin/sh", "-c", "npm ci"),
        # systemd takes one of them away.
        ("/bin/sh", "-c", "echo $$PWD"),
    ]
    told = begun.systemd.transients[0]
    for each in (f"WorkingDirectory={folder}", f"ReadWritePaths={folder}", "RuntimeMaxSec=60", "NoNewPrivileges=yes"):
        assert f"--property={each}" in told
    assert f"--setenv=PATH={folder}/.venv/bin:/usr/bin:/bin" in told
    assert "$ npm ci\ndone\n" in next((begun.root / "logs").iterdir()).read_text()


def test_what_a_link_of_the_release_leads_to_keeps_its_owner(shop: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[tuple[str, bool]] = []

    def chown(name: str, uid: int, gid: int, dir_fd: int, follow_symlinks: bool) -> None:
        changed.append((os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), name), follow_symlinks))

    (shop.root / "media").mkdir()
    (shop.root / "media/photo").touch()
    (shop.root / "releases/NEW/media").symlink_to(shop.root / "media")
    monkeypatch.setattr(os, "chown", chown)
    shop.parts().builds.give("NEW", "root")
    assert (str(shop.root / "releases/NEW/media"), False) in changed
    assert all(path.startswith(str(shop.root / "releases/NEW")) and not follows for path, follows in changed)


@pytest.mark.parametrize(
    ("status", "said", "waited", "sentence"),
    [
        (1, "npm error missing script: build", 0, "failed: npm error missing script: build."),
        (
            127,
            "/bin/sh: 1: npm: not found",
            0,
            "failed: /bin/sh: 1: npm: not found. Add what brings it to the project's requirements or to "
            "application_packages.",
        ),
        (1, "", 60, "did not end within 60 s: raise application_command_timeout_seconds, or make it faster."),
    ],
)
def test_why_a_command_failed_is_told(
    begun: PlayedHost, archive: str, monkeypatch: pytest.MonkeyPatch, status: int, said: str, waited: int, sentence: str
) -> None:
    clock = [0.0]

    def transient(words: tuple[str, ...]) -> tuple[int, str, str]:
        clock[0] += waited
        return status, "", said

    begun.systemd.transient = transient
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with pytest.raises(UserError) as refused:
        build(begun, archive)
    assert str(refused.value) == f"`npm ci` in application_build_commands {sentence}"
    assert len(begun.systemd.transients) == 1
    assert begun.serving == "OLD"


def test_a_release_is_prepared_without_writing_into_it(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried(step="migrate")
    shop.take("commands", {"release_commands": ["python manage.py createcachetable"], "command_timeout_seconds": 5})
    (told,) = shop.systemd.transients
    assert told[-1] == "python manage.py createcachetable"
    assert f"--property=WorkingDirectory={shop.root}/releases/NEW" in told
    assert not [word for word in told if "ReadWritePaths" in word and "releases" in word]


def test_a_command_that_outlived_its_run_is_stopped(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.is_tried(step="build")
    shop.systemd.active.add("shop_command.service")
    shop.take("begin", kind="deploy", release="OLD")
    assert "shop_command.service" not in shop.systemd.active


def test_a_release_that_is_there_is_not_built_again_by_other_commands(shop: PlayedHost) -> None:
    shop.serve("blue")
    shop.add_release("BUILT", shape={"build_commands": ["npm ci"]})
    with pytest.raises(UserError, match=r'built with application_build_commands \["npm ci"\], which is \["make"\] now'):
        shop.take("begin", {"build_commands": ["make"]}, kind="deploy", release="BUILT")
