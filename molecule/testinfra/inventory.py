"""Hand an inventory to testinfra.

testinfra reads `ansible-inventory --list`, which leaves templates such as {{ inventory_dir }} as they are, and opens
a new connection for each command. Here Ansible itself computes the variables, and each host keeps one connection,
through which commands run as root. Only what describes the connection and the project is computed: no secret.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.cli import CLI
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from testinfra import get_hosts
from testinfra.utils.ansible_runner import AnsibleRunner

PREFIXES = ("ansible_", "project_", "certificates_names", "nginx_", "ssh_", "postgresql_listen_", "broker_listen_")
MULTIPLEXING = "-o ControlMaster=auto -o ControlPersist=120s -o ControlPath={folder}/%C -o ServerAliveInterval=5"


def read(path: str, sockets: str) -> dict[str, Any]:
    """The inventory at `path` in the shape of `ansible-inventory --list`, with values computed."""
    loader = DataLoader()
    identities = constants.DEFAULT_VAULT_IDENTITY_LIST
    loader.set_vault_secrets(CLI.setup_vault_secrets(loader, vault_ids=identities, auto_prompt=False))
    inventory = InventoryManager(loader, sources=[str(path)])
    manager = VariableManager(loader, inventory)
    hosts = HostVars(inventory, manager, loader)
    variables = {}
    for host in inventory.get_hosts("all"):
        raw = {**manager.get_vars(host=host), "hostvars": hosts}
        templar = Templar(loader, raw)
        own = {name: templar.template(raw[name]) for name in raw if name.startswith(PREFIXES)}
        arguments = f"{own.get('ansible_ssh_extra_args', '')} {MULTIPLEXING.format(folder=sockets)}"
        variables[host.name] = {
            **{name: value for name, value in own.items() if isinstance(value, (str, int, list, dict))},
            "ansible_ssh_extra_args": arguments.strip(),
            "ansible_host": own.get("ansible_host", host.name),
            "ansible_become": True,
            "inventory_dir": raw["inventory_dir"],
        }
    groups = {name: {"hosts": members} for name, members in inventory.get_groups_dict().items()}
    return {"_meta": {"hostvars": variables}, **groups}


def machines(path: str, pattern: str, sockets: str) -> list[Any]:
    """The hosts of the inventory at `path` that `pattern` names; sockets of connections lie in `sockets`."""
    AnsibleRunner.get_runner(path).inventory = read(path, sockets)
    return list(get_hosts(pattern.split(","), connection="ansible", ansible_inventory=path))


def variables(host: Any) -> dict[str, Any]:
    return dict(host.ansible.get_variables())


def groups(host: Any) -> set[str]:
    return set(variables(host)["group_names"])


def ssh(host: Any, *options: str) -> list[str]:
    """The words of an SSH command to `host` that opens a connection of its own."""
    values = variables(host)
    words = ["ssh", "-o", "ControlPath=none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    words += shlex.split(values.get("ansible_ssh_common_args", ""))
    if key := values.get("ansible_ssh_private_key_file"):
        words += ["-i", key]
    # The first value of an option counts.
    return [*words, *options, "-o", f"Port={values.get('ansible_port', 22)}", values["ansible_host"]]


def hang_up(sockets: str) -> None:
    """Close the connections whose sockets lie in `sockets`."""
    for path in Path(sockets).glob("*"):
        subprocess.run(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "any"], capture_output=True, check=False)
