"""One host: a root file system of layers, and the processes in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from lab import cgroups, processes
from lab.commands import run
from lab.controller import resolvers
from lab.image import ADMIN
from lab.network import Network, uplink_mtu

# With --keep-unit, nspawn ends with this code when its host reboots, and leaves starting it again to its caller.
REBOOT = 133
# For systemd, which starts the host where it runs this machine.
PROPERTIES = (
    "Delegate=yes",
    "KillMode=mixed",
    f"RestartForceExitStatus={REBOOT}",
    f"SuccessExitStatus={REBOOT}",
)
NETWORK_UNIT = """\
[Match]
Name=host0

[Network]
Address={address}/24
Gateway={gateway}
{dns}
LinkLocalAddressing=no
IPv6AcceptRA=no

[Link]
MTUBytes={mtu}
"""


def dns_lines(resolv_conf: str) -> str:
    """The servers of a resolver file, as a network unit names them."""
    words = (line.split() for line in resolv_conf.splitlines())
    return "\n".join(f"DNS={word[1]}" for word in words if word[:1] == ["nameserver"])


@dataclass(frozen=True)
class Host:
    """`folder` holds its overlay and console log."""

    name: str
    folder: Path
    network: Network
    address: str

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def machine(self) -> str:
        """Its name on this machine."""
        return f"{self.network.name}-{self.name}"

    def runners(self) -> list[int]:
        """Identifiers of the nspawn processes that run this host."""
        mine = f"--directory={self.root}".encode()
        found = []
        for process in processes.folders():
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"systemd-nspawn") and mine in words:
                    found.append(int(process.name))
        return found

    def inhabitants(self) -> list[int]:
        """Identifiers of the processes inside; they outlive an nspawn that was killed."""
        if not os.path.ismount(self.root):
            return []
        own = self.root.stat()
        found = []
        for process in processes.folders():
            with contextlib.suppress(OSError):
                if os.path.samestat(own, (process / "root").stat()):
                    found.append(int(process.name))
        return found

    def mount(self, image: Path) -> None:
        if os.path.ismount(self.root):
            return
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        # The image that a host began with stays its lower layer for as long as it lives.
        lower = self.folder / "image"
        if not lower.is_symlink():
            lower.symlink_to(image)
        layers = f"lowerdir={lower.resolve()},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def configure(self, public_key: str) -> None:
        """Write what a cloud's first boot would write: name, address, resolver, keys."""
        etc = self.root / "etc"
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{self.address} {self.name}\n")
        resolver = etc / "resolv.conf"
        # systemd-resolved writes its own, and is told by the network unit.
        if not resolver.is_symlink():
            resolver.write_text(resolvers())
        unit = NETWORK_UNIT.format(
            address=self.address, gateway=self.network.gateway, dns=dns_lines(resolvers()), mtu=uplink_mtu()
        )
        (etc / "systemd/network/10-host0.network").write_text(unit)
        run("ssh-keygen", "-A", "-f", self.root)
        home = self.root / "home" / ADMIN / ".ssh"
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "authorized_keys").write_text(public_key)
        (home / "authorized_keys").chmod(0o600)
        run("chroot", self.root, "chown", "--recursive", f"{ADMIN}:{ADMIN}", f"/home/{ADMIN}/.ssh")

    def boot(self) -> None:
        nspawn = [
            "systemd-nspawn",
            f"--directory={self.root}",
            "--boot",
            "--quiet",
            f"--machine={self.machine}",
            f"--network-bridge={self.network.name}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=pipe",
        ]
        if Path("/run/systemd/system").exists():
            service = ["systemd-run", f"--unit={self.machine}", "--slice=machine.slice", "--collect", "--quiet"]
            run(*service, *(f"--property={each}" for each in PROPERTIES), *nspawn)
            return
        loop = f'while "$@"; [ $? -eq {REBOOT} ]; do :; done'
        with (self.folder / "console.log").open("ab") as console:
            subprocess.Popen(
                ["sh", "-c", loop, "sh", *nspawn],
                # The legacy cgroup layout hides from older systemd when a unit is empty; newer ones refuse it.
                env=dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=lambda: cgroups.enter(self.machine),
            )

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def wait(self, seconds: int = 60) -> None:
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                raise UserError(f"Host {self.name} did not open SSH in {seconds} s: see {self.folder}/console.log.")
            time.sleep(0.2)

    def public_key(self) -> str:
        """The key by which SSH knows it, as a file of known hosts has it."""
        return " ".join((self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])

    def stop(self) -> None:
        """Power off, then kill: a host that hangs must not keep `down` from finishing."""
        processes.end(signal.SIGTERM, self.runners, 20)
        processes.end(signal.SIGKILL, lambda: self.runners() + self.inhabitants(), 20)
        if rest := self.inhabitants():
            raise UserError(f"Host {self.name} does not end: look at its processes {', '.join(map(str, rest))}.")

    def remove(self) -> None:
        self.stop()
        if os.path.ismount(self.root):
            run("umount", "--lazy", self.root)
        shutil.rmtree(self.folder)
        cgroups.remove(self.machine)
