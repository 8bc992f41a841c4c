"""The operator's own tasks around a release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.play import Play
from ansible_collections.slipway.host.plugins.module_utils.inventory.places import brief

HOOKS = ("before_migrate", "before_switch", "after_switch", "after_failure")


def describe_hooks(folder: Path, loader: DataLoader) -> Iterator[str]:
    """Sentences about tasks that Ansible could not even read, in the middle of a release."""
    for path in (folder / f"{name}.yml" for name in HOOKS):
        if not path.is_file():
            continue
        try:
            tasks = loader.load_from_file(str(path))
            reason = None if isinstance(tasks, list) else "it begins with no dash"
            if not reason:
                load_list_of_blocks(tasks, play=Play(), loader=loader)
        except AnsibleError as error:
            reason = " ".join(error.message.split()).rstrip(".")
        if reason:
            yield f"{brief(path)} is no list of tasks that Ansible knows: {reason}. Write tasks as in a role's file."
