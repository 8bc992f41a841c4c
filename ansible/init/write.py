"""The files of an inventory."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.secret import secret

from init.inventory import Inventory, secrets, values

ADMINS = '# For example: [{name: ada, keys: ["ssh-ed25519 AAAA... ada@example.com"]}]\n'
VAULT = (
    "# Secrets, each in a file of .secrets/ beside this folder. To keep them in the repository instead,\n"
    "# replace the values and encrypt this file: ansible-vault encrypt inventories/{}/group_vars/all/vault.yml"
)
MISSING = "# The settings need these too, in application_environment; secrets belong into vault.yml:"


def write(inventory: Inventory, target: Path) -> list[str]:
    """Write the whole inventory at once, or nothing, and return the names of its files."""
    written = files(inventory)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as scratch:
        draft = Path(scratch, target.name)
        for name, text in written.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text)
        for name, value in secrets(inventory).items():
            secret(draft / ".secrets", name, value)
        shutil.move(draft, target)
    return sorted(written)


def files(inventory: Inventory) -> dict[str, str]:
    """The text of each file of the inventory, by its path."""
    texts = {name: dump(each) for name, each in values(inventory).items()}
    texts["project"] = texts["project"].replace("project_admins:", f"{ADMINS}project_admins:")
    if inventory.part.missing:
        lines = [f"#   {name}: ...   ({place})" for name, place in inventory.part.missing]
        texts["application"] += "\n".join([MISSING, *lines, ""])
    lines = [f"vault_{name}: \"{{{{ lookup('slipway.host.secret', '{name}') }}}}\"" for name in secrets(inventory)]
    texts["vault"] = "\n".join(["---", VAULT.format(inventory.options.name), *lines, ""])
    return {**{f"group_vars/all/{name}.yml": text for name, text in texts.items()}, "hosts.yml": hosts(inventory)}


def hosts(inventory: Inventory) -> str:
    groups = [f"{group}: {{children: {{single: }}}}" for group in dict.fromkeys(inventory.part.groups)]
    return "\n".join(["---", "single:", "  hosts:", f"    {inventory.options.host}:", *groups, ""])


def dump(variables: Mapping[str, Any]) -> str:
    """YAML as people write it: one value a line, short lists and mappings in place."""
    lines = ["---"]
    for name, value in variables.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{name}:"]
            for each in value:
                for number, (key, inner) in enumerate(each.items()):
                    lines.append(f"  {'-' if number == 0 else ' '} {key}: {scalar(inner)}")
        elif isinstance(value, dict) and value:
            lines += [f"{name}:", *(f"  {key}: {scalar(inner)}" for key, inner in value.items())]
        else:
            lines.append(f"{name}: {scalar(value)}")
    return "\n".join([*lines, ""])


def scalar(value: object) -> str:
    """A value on one line; JSON is YAML, and quotes where it must."""
    words = ("true", "false", "yes", "no", "on", "off", "null")
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/][\w./-]*( [\w./=-]+)*", value)
    return str(value) if plain and str(value).lower() not in words else json.dumps(value, ensure_ascii=False)
