"""A host that is graded: its site, its variables, commands there, and files that go with the grader."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import inventory as testinfra_inventory
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from support import Site
from testinfra.host import Host

from grade import image


@dataclass(frozen=True)
class Target:
    host: Host
    inventory: str

    @property
    def name(self) -> str:
        return str(self.host.backend.host)

    @cached_property
    def variables(self) -> dict[str, Any]:
        return testinfra_inventory.variables(self.host)

    @property
    def address(self) -> str:
        return str(self.variables["ansible_host"])

    @property
    def serves(self) -> bool:
        return "web" in self.variables["group_names"]

    @property
    def is_example(self) -> bool:
        """Whether it runs the API of this repository, and no other project."""
        return str(self.variables["project_name"]) == "slipway"

    @property
    def site(self) -> Site:
        return Site.on(self.host)

    @cached_property
    def system(self) -> tuple[str, str]:
        """Its distribution and version: ("debian", "12")."""
        lines = self.run("cat /etc/os-release").replace('"', "").splitlines()
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
        return fields["ID"], fields.get("VERSION_ID", "")

    def run(self, command: str, *arguments: str) -> str:
        """What a command of root prints there, whatever its exit code."""
        return str(self.host.run(command, *arguments).stdout)

    @contextlib.contextmanager
    def carrying(self, *paths: str) -> Iterator[str]:
        """A folder on the host with these files of the graders' image; it goes when the grader is done."""
        folder = self.host.check_output("mktemp --directory /root/grade.XXXXXX")
        try:
            pack = ["chroot", str(image.base()), "tar", "--create", "--dereference", "--directory=/", *paths]
            unpack = [*testinfra_inventory.ssh(self.host), f"sudo tar --extract --directory={folder}"]
            if user := self.variables.get("ansible_user"):
                unpack[1:1] = ["-o", f"User={user}"]
            with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
                done = subprocess.run(unpack, stdin=packing.stdout, capture_output=True, text=True, check=False)
            if done.returncode or packing.returncode:
                raise UserError(f"The grader could not be copied to {self.name}: {done.stderr.strip()}")
            yield folder
        finally:
            self.host.check_output("rm --recursive --force %s", folder)
