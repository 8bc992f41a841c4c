"""The hosts of an inventory, from its hosts.yml to the machines.yml that says how to reach them."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from lab import image, network
from lab.commands import run
from lab.controller import CACHE, REPOSITORY, give_to_caller, locked, require_room, tested_suites
from lab.host import Host
from lab.network import Network

Variables = Mapping[str, Any]


class Inventory:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if not (self.folder / "hosts.yml").is_file():
            raise UserError(f"{folder} is no inventory: it has no hosts.yml.")
        if REPOSITORY not in self.folder.parents:
            raise UserError(f"{folder} lies outside of {REPOSITORY}: hosts are booted for its own inventories only.")
        self.machines = self.folder / "machines.yml"
        self.secrets = self.folder / ".secrets"
        self.state = CACHE / "machines" / state_name(self.folder.relative_to(REPOSITORY))

    def up(self) -> None:
        variables = self.variables()
        CACHE.mkdir(exist_ok=True)
        require_room(CACHE)
        suites = choose_suites(variables, tested_suites())
        built = sorted(set(suites.values()))
        with ThreadPoolExecutor() as pool:
            images = dict(zip(built, pool.map(image.base, built), strict=True))
        with locked(network.LOCK):
            net = self.network()
            hosts = [Host(name, self.state / name, net, net.address(i)) for i, name in enumerate(variables)]
            published = next((host.address for host in hosts if variables[host.name].get("machine_published")), None)
            net.create(published)
            public_key = self.ssh_key()
            for host in hosts:
                if not host.runners():
                    print(f"Booting {host.name} ({suites[host.name]}) at {host.address}", flush=True)
                    host.stop()
                    host.mount(images[suites[host.name]])
                    host.configure(public_key)
                    host.boot()
        for host in hosts:
            host.wait()
        self.write(hosts, net.ports if published else {})

    def variables(self) -> dict[str, Variables]:
        """Variables of each host by name, as Ansible reads them."""
        program = Path(sys.executable).with_name("ansible-inventory")
        return host_variables(json.loads(run(program, "-i", self.folder, "--list", folder=REPOSITORY)))

    def recorded_network(self) -> Network | None:
        with contextlib.suppress(OSError, ValueError):
            return Network(int((self.state / "network").read_text()))
        return None

    def network(self) -> Network:
        """The network that this inventory already has, or the first free one."""
        if recorded := self.recorded_network():
            return recorded
        free = network.first_free()
        self.state.mkdir(parents=True, exist_ok=True)
        draft = self.state / "network.draft"
        draft.write_text(str(free.number))
        draft.rename(self.state / "network")
        return free

    def ssh_key(self) -> str:
        """The public half of the key that opens the hosts, made once."""
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        key = self.secrets / "ssh_key"
        if not key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slipway", "-f", key)
        return key.with_suffix(".pub").read_text()

    def write(self, hosts: list[Host], ports: Mapping[str, int]) -> None:
        """Write down how to reach the hosts, for Ansible."""
        keys = "".join(f"{host.address} {host.public_key()}\n" for host in hosts)
        (self.secrets / "known_hosts").write_text(keys)
        connection = {
            "ansible_user": image.ADMIN,
            "ansible_ssh_private_key_file": str(self.secrets / "ssh_key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.secrets}/known_hosts",
        }
        written = {"hosts": {host.name: {"ansible_host": host.address, **connection} for host in hosts}, "vars": ports}
        self.machines.write_text("# Written by tools/lab.\n" + json.dumps({"all": written}, indent=2) + "\n")
        give_to_caller(self.machines, self.secrets, *self.secrets.iterdir())

    def down(self) -> None:
        if self.state.exists():
            recorded = self.recorded_network()
            for folder in self.state.iterdir():
                if folder.is_dir():
                    Host(folder.name, folder, recorded or Network(0), "").remove()
            if recorded:
                recorded.remove()
            shutil.rmtree(self.state)
            print(
                "The host, its network and its secrets are gone. `make clean` also removes images, archives and tools."
            )
        else:
            print("There is no host to remove.")
        self.machines.unlink(missing_ok=True)
        shutil.rmtree(self.secrets, ignore_errors=True)


def state_name(folder: Path) -> str:
    """A folder's name for what is kept of an inventory at this path: "local" for inventories/local."""
    return "-".join(part for part in folder.parts if part != "inventories")


def host_variables(listing: Mapping[str, Any]) -> dict[str, Variables]:
    """Variables of each host by name, in order, from what `ansible-inventory --list` prints."""
    names = sorted({host for group in listing.values() for host in group.get("hosts", [])})
    return {name: listing["_meta"]["hostvars"].get(name, {}) for name in names}


def choose_suites(variables: Mapping[str, Variables], suites: list[str]) -> dict[str, str]:
    """The suite of each host: `machine_release` counts them, and goes round where there are fewer."""
    return {name: suites[int(values.get("machine_release", 0)) % len(suites)] for name, values in variables.items()}
