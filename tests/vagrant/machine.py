"""A box for vagrant-lxc of the test hosts' image, a network for its machine, and Vagrant in a clone."""

import contextlib
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from lab import image
from lab.commands import run
from lab.controller import locked, resolvers, tested_suites
from lab.network import LOCK, Network, first_free, uplink_mtu

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/vagrant"
BOX = "slipway"
# Checkouts side by side have machines, and addresses of this machine, of their own.
CHECKOUT = zlib.crc32(str(ROOT).encode())
CLONE = CACHE / f"slipway-{CHECKOUT:08x}"
# 127.0.0.1 may be that of a host that `make up` made.
ADDRESS = f"127.0.77.{1 + CHECKOUT % 254}"
# As Vagrant expects a box: its user, its key, and everything allowed without a password.
USER = """\
useradd --create-home --shell=/bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/vagrant
install -d -o vagrant -g vagrant -m 0700 /home/vagrant/.ssh
cat > /home/vagrant/.ssh/authorized_keys
chown vagrant:vagrant /home/vagrant/.ssh/authorized_keys
ssh-keygen -A
"""
CONFIG = """\
lxc.include = /usr/share/lxc/config/common.conf
lxc.arch = {architecture}
lxc.prlimit.nofile = {files}
lxc.net.0.type = veth
lxc.net.0.link = {network.name}
lxc.net.0.flags = up
lxc.net.0.mtu = {mtu}
lxc.net.0.ipv4.address = {address}/24
lxc.net.0.ipv4.gateway = {network.gateway}
"""
NETWORK = """\
[Match]
Name=eth0

[Network]
KeepConfiguration=yes
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A bridge with a way out, removed at the end; also that of a run that was killed."""
    record = CACHE / "network"
    if record.exists():
        Network(int(record.read_text())).remove()
    with locked(LOCK):
        free = first_free()
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(str(free.number))
        free.create(published=None)
    try:
        yield free
    finally:
        free.remove()
        record.unlink()


def root_file_system(public_key: str) -> Path:
    """An archive of the image, with Vagrant's user in it."""
    lower = image.base(tested_suites()[0])
    parts = "".join([lower.name, public_key, USER, NETWORK])
    archive = CACHE / f"{hashlib.sha256(parts.encode()).hexdigest()[:12]}.tar.gz"
    if archive.exists():
        return archive
    scratch = CACHE / "image"
    root = scratch / "rootfs"
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in (root, scratch / "upper", scratch / "work"):
        folder.mkdir(parents=True)
    layers = f"lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work"
    run("mount", "-t", "overlay", "overlay", "-o", layers, root)
    try:
        run("chroot", root, "sh", "-ec", USER, text=f"{public_key}\n")
        (root / "etc/resolv.conf").write_text(resolvers())
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        # LXC gives the machine its address; units that wait for the network wait for this.
        (root / "etc/systemd/network/10-eth0.network").write_text(NETWORK)
        run(
            "tar",
            "--numeric-owner",
            "--xattrs",
            "--use-compress-program=gzip -1",
            "-cf",
            f"{archive}.new",
            "./rootfs",
            folder=scratch,
        )
    finally:
        run("umount", root)
        shutil.rmtree(scratch)
    Path(f"{archive}.new").rename(archive)
    return archive


def make_box(public_key: str, network: Network) -> Path:
    """A box whose machine is on that network; returns its file."""
    folder = CACHE / "box"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "rootfs.tar.gz").hardlink_to(root_file_system(public_key))
    (folder / "metadata.json").write_text(json.dumps({"provider": "lxc", "version": "1.0.0"}))
    (folder / "lxc-config").write_text(
        CONFIG.format(
            architecture=platform.machine(),
            files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
            network=network,
            address=network.address(0),
            mtu=uplink_mtu(),
        )
    )
    run("tar", "-cf", CACHE / "slipway.box", "metadata.json", "lxc-config", "rootfs.tar.gz", folder=folder)
    return CACHE / "slipway.box"


class Vagrant:
    """Vagrant in a clone of this repository, with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "VAGRANT_HOME": str(CACHE / "home"),
            "VAGRANT_DEFAULT_PROVIDER": "lxc",
            "SLIPWAY_BOX": BOX,
            "SLIPWAY_ADDRESS": ADDRESS,
        }

    def ask(self, *words: str, **environment: str) -> tuple[int, str]:
        """Its exit code, and what it said."""
        # Not into a pipe, whose end would only come with that of the processes which forward the ports.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                ["vagrant", *words],
                cwd=self.folder,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            output.seek(0)
            return done.returncode, output.read()

    def do(self, *words: str, **environment: str) -> str:
        code, said = self.ask(*words, **environment)
        assert code == 0, said[-4000:]
        return said
