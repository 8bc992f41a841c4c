"""The lookup `secret` generates once, whole, and readable by its owner alone."""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils import secret as secrets
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from repository import ROOT


def test_a_secret_is_generated_once_and_kept(tmp_path: Path) -> None:
    first = secrets.secret(tmp_path / ".secrets", "key")
    assert len(first) == 50
    assert secrets.secret(tmp_path / ".secrets", "key") == first
    assert secrets.secret(tmp_path / ".secrets", "other") != first


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secrets.secret(tmp_path / ".secrets", "key")
    assert (tmp_path / ".secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".secrets/key").stat().st_mode & 0o777 == 0o600


def test_many_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: secrets.secret(tmp_path / ".secrets", "key"), range(64)))
    assert len(found) == 1


def test_what_a_killed_run_left_behind_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets/.key.123").touch()
    assert len(secrets.secret(tmp_path / ".secrets", "key")) == 50


def test_a_file_system_without_links_keeps_secrets_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr("os.link", link)
    first = secrets.secret(tmp_path / ".secrets", "key")
    assert len(first) == 50
    assert secrets.secret(tmp_path / ".secrets", "key") == first
    assert [path.name for path in (tmp_path / ".secrets").iterdir()] == ["key"]


def test_of_two_runs_that_make_a_secret_both_read_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(_: object) -> str:
        (tmp_path / ".secrets/key").write_text("of the other run")
        return "x"

    monkeypatch.setattr("secrets.choice", choose)
    assert secrets.secret(tmp_path / ".secrets", "key") == "of the other run"


def test_a_secret_of_the_operator_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets/key").write_text("given\n")
    assert secrets.secret(tmp_path / ".secrets", "key") == "given"


def test_a_url_is_never_generated(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"put the URL into {tmp_path}/.secrets/database_url"):
        secrets.secret(tmp_path / ".secrets", "database_url")
    assert not (tmp_path / ".secrets").exists()
    assert secrets.secret(tmp_path / ".secrets", "database_url", "postgres://db") == "postgres://db"


def test_a_url_that_is_missing_is_told_before_a_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "inventories/production", tmp_path / "shop", ignore=shutil.ignore_patterns(".secrets"))
    every = tmp_path / "shop/group_vars/all"
    text = (every / "application.yml").read_text()
    line = "application_database_url: \"{{ lookup('slipway.host.secret', 'database_url') }}\""
    (every / "application.yml").write_text(re.sub(r"application_database_url:.*(\n +.*)*", line, text))
    tasks = "[{slipway.host.validate_inventory: }]"
    (tmp_path / "check.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks: {tasks}\n")
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        f"--inventory={tmp_path}/shop",
        f"{tmp_path}/check.yml",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"put the URL into {tmp_path}/shop/.secrets/database_url" in done.stderr + done.stdout
