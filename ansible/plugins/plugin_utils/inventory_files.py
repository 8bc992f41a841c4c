"""The files with an inventory's variables. Ansible does not say which of them it cannot read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import AnsibleVaultError
from ansible.playbook import Playbook
from ansible_collections.slipway.host.plugins.module_utils.inventory.places import brief
from ansible_collections.slipway.host.plugins.module_utils.inventory.sentences import describe_encrypted

SUFFIXES = ("", ".yml", ".yaml", ".json")


def require_readable(playbook: Playbook) -> None:
    """End a run whose inventory has such a file, before Ansible meets it."""
    if sentence := unreadable(playbook.get_loader(), context.CLIARGS["inventory"]):
        raise SystemExit(sentence)


def unreadable(loader: DataLoader, sources: Iterable[str]) -> str | None:
    """A sentence about the first file of these inventories that cannot be read, or None."""
    folders = [path if path.is_dir() else path.parent for path in map(Path, sources)]
    for path in sorted(path for folder in folders for path in folder.glob("*_vars/**/*")):
        if not path.is_file() or path.name.startswith(".") or path.suffix not in SUFFIXES:
            continue
        try:
            # What is kept of it would not count as a template.
            loader.load_from_file(str(path), cache="none")
        except AnsibleVaultError as error:
            return f"{describe_encrypted(str(brief(path)), error.message)} Nothing was changed."
        except AnsibleError as error:
            line = str(error.obj or "").rpartition(f"{path.name}:")[2].partition(":")[0]
            where = f" (line {line})" if line else ""
            return f"{brief(path)}{where} cannot be read: {error.message.rstrip('.')}. Correct it. Nothing was changed."
    return None
