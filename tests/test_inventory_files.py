"""A file of an inventory that cannot be read is named, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import AnsibleVaultError, VaultSecret
from ansible_collections.slipway.host.plugins.module_utils.inventory.sentences import describe_failure
from ansible_collections.slipway.host.plugins.plugin_utils.inventory_files import unreadable
from repository import ROOT

PASSWORD = b"right"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory, seen from the folder in which it lies."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "inventories/shop/group_vars/all"
    place.mkdir(parents=True)
    (place / "project.yml").write_text("project_name: shop\n")
    return place


def said(loader: DataLoader | None = None) -> str:
    return unreadable(loader or DataLoader(), ["inventories/shop"]) or ""


def encrypt(path: Path) -> DataLoader:
    """Encrypt a file, as `ansible-vault encrypt` does; a loader that has its password."""
    loader = DataLoader()
    loader.set_vault_secrets([("default", VaultSecret(PASSWORD))])
    path.write_bytes(loader._vault.encrypt("a: 1\n", VaultSecret(PASSWORD)))
    return loader


def test_a_file_that_can_be_read_is_no_trouble(folder: Path) -> None:
    (folder / ".project.yml.swp").write_text("[")
    (folder / "notes.md").write_text("[")
    assert said() == ""


@pytest.mark.parametrize("name", ["project.yml", "../web.yaml", "../../host_vars/web1/more.yml", "more"])
def test_a_broken_file_is_named_with_its_line(folder: Path, name: str) -> None:
    path = (folder / name).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("project_name: shop\nproject_domain: {\n")
    place = path.relative_to(Path.cwd())
    assert said().startswith(f"{place} (line 3) cannot be read: YAML parsing failed: ")
    assert said().endswith(". Correct it. Nothing was changed.")


def test_an_encrypted_file_is_read_with_its_password(folder: Path) -> None:
    assert said(encrypt(folder / "vault.yml")) == ""


def test_an_encrypted_file_without_its_password_is_named_with_the_way_to_give_it(folder: Path) -> None:
    encrypt(folder / "vault.yml")
    assert said().startswith("inventories/shop/group_vars/all/vault.yml is encrypted and cannot be read: ")
    assert "`ANSIBLE_VAULT_PASSWORD_FILE=~/.vault-password make ...`" in said()


@pytest.mark.parametrize("callback", ["progress", "status"])
def test_a_run_ends_with_that_sentence(folder: Path, callback: str) -> None:
    (folder / "project.yml").write_text("[")
    (folder / "../../hosts.yml").write_text("all: {hosts: {web1: {ansible_connection: local}}}\n")
    Path("site.yml").write_text("- hosts: all\n  gather_facts: false\n  tasks: []\n")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/ansible/collections",
        "ANSIBLE_STDOUT_CALLBACK": f"slipway.host.{callback}",
    }
    command: list[str | Path] = [
        Path(sys.executable).with_name("ansible-playbook"),
        "-i",
        "inventories/shop",
        "site.yml",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("inventories/shop/group_vars/all/project.yml (line ")


def test_reading_leaves_nothing_behind_that_is_no_template(folder: Path) -> None:
    (folder / "project.yml").write_text("project_name: '{{ 1 }}'\n")
    loader = DataLoader()
    assert said(loader) == ""
    assert loader._FILE_CACHE == {}


def test_an_encrypted_value_is_named_with_the_way_to_give_its_password(folder: Path) -> None:
    error = AnsibleVaultError("Decryption failed (no vault secrets were found that could decrypt).")
    option = {"type": "str", "no_log": True, "description": ["The key."]}
    told = describe_failure("application_secret_key", option, error, lambda: "application.yml:4", folder)
    assert told.startswith("application_secret_key, in application.yml:4, is encrypted and cannot be read: Decryption ")
    assert "`ANSIBLE_VAULT_PASSWORD_FILE=~/.vault-password make ...`" in told
