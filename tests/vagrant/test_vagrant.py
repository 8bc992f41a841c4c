"""`vagrant` as a newcomer types it, with the distribution's own and containers in the place of virtual machines."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import machine
import pytest
from lab.commands import run
from machine import ADDRESS, CACHE, CLONE, ROOT, Vagrant
from support import Site, eventually

# A provider that knows what the plugin's documentation names.
PARALLELS = """
class Parallels < Vagrant.plugin("2")
  name "parallels"
  provider(:parallels) do
    Class.new(Vagrant.plugin("2", :provider)) { def state = Vagrant::MachineState.new(:not_created, "", "") }
  end
  config(:parallels, :provider) { Class.new(Vagrant.plugin("2", :config)) { attr_accessor :memory, :cpus } }
end
load File.expand_path("Vagrantfile", __dir__)
"""


def containers(clone: Path) -> list[str]:
    return [name for name in run("lxc-ls", "-1").splitlines() if name.startswith(f"{clone.name}_")]


def recap(output: str) -> list[tuple[int, ...]]:
    """What Ansible counted in each play, by its name."""
    found = re.findall(r"^slipway +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", output, re.MULTILINE)
    return [tuple(map(int, counts)) for counts in found]


@pytest.fixture(scope="session")
def clone() -> Path:
    """This repository's last commit, with the tools that `make` installed."""
    folder = CLONE
    if folder.exists():
        # A run that was killed. Vagrant ends what forwards the ports, and cannot end everything.
        Vagrant(folder).ask("destroy", "--force")
        for name in containers(folder):
            run("lxc-destroy", "--force", "--name", name)
        shutil.rmtree(folder)
    run("git", "-c", "safe.directory=*", "clone", "--quiet", ROOT, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    # What is ignored is a folder of that name; this link would be part of the working tree.
    (folder / ".git/info/exclude").write_text(".venv\n")
    return folder


@pytest.fixture(scope="session")
def vagrant(clone: Path) -> Iterator[Vagrant]:
    """Vagrant with a box to make machines of; nothing of it is left at the end."""
    with machine.network() as network:
        vagrant = Vagrant(clone)
        vagrant.do("box", "list")
        public_key = run("ssh-keygen", "-y", "-f", CACHE / "home/insecure_private_key").strip()
        vagrant.do("box", "add", "--force", "--name", machine.BOX, str(machine.make_box(public_key, network)))
        yield vagrant
        vagrant.ask("destroy", "--force")
        shutil.rmtree(clone)


@pytest.fixture(scope="session")
def up(vagrant: Vagrant) -> str:
    """What `vagrant up` said."""
    return vagrant.do("up")


@pytest.fixture
def site(up: str, clone: Path) -> Site:
    """The site as a browser on this machine sees it."""
    authority = clone / "inventories/vagrant/.secrets/ca.crt"
    return Site(ADDRESS, "slipway.localhost", http_port=8080, https_port=8443, authority=authority)


def test_up_ends_with_an_address_that_answers(up: str, site: Site) -> None:
    assert "https://slipway.localhost:8443/api/docs/" in up
    assert site.get("/health/ready/").status == 200
    assert site.get("/api/docs/").status == 200


def test_the_call_that_up_shows_is_answered(up: str, clone: Path) -> None:
    # Vagrant begins each line with the machine's name.
    said = re.sub(r"^(==> | +)slipway: ?", "", up, flags=re.MULTILINE)
    call = re.search(r"curl .*?(?=\n *\n)", said, re.DOTALL)
    assert call
    words = shlex.split(call[0].replace("\\\n", " "))
    assert json.loads(run(*words, "--silent", "--fail", folder=clone))["release"]


def test_provision_changes_nothing(vagrant: Vagrant, up: str) -> None:
    assert recap(vagrant.do("provision")) == [(0, 0, 0)] * 2


def test_provision_releases_what_is_not_committed(vagrant: Vagrant, clone: Path, site: Site) -> None:
    before = site.get("/health/ready/").json["release"]
    with (clone / "app/config/urls.py").open("a") as urls:
        urls.write("# new\n")
    vagrant.do("provision")
    after = site.get("/health/ready/").json["release"]
    assert after.startswith(f"{before[:12]}-")


def test_the_commands_of_operators_reach_the_machine(clone: Path, up: str) -> None:
    program = ROOT / ".venv/bin/ansible"
    said = run(program, "all", "-i", "inventories/vagrant", "--module-name=ping", folder=clone)
    assert "SUCCESS" in said


def test_the_promises_of_a_host_hold(clone: Path, up: str) -> None:
    assert " passed" in run("make", "--silent", "verify", "ENV=vagrant", folder=clone)


def test_a_machine_that_was_halted_serves_again(vagrant: Vagrant, site: Site) -> None:
    vagrant.do("halt")
    with pytest.raises(ConnectionRefusedError):
        site.get("/health/ready/")
    vagrant.do("up")
    eventually(lambda: site.get("/health/ready/").status == 200, seconds=60)


@pytest.mark.skipif("SLIPWAY_SOAK" not in os.environ, reason="make soak runs it: four minutes more")
def test_an_ansible_in_the_machine_finds_nothing_to_change(vagrant: Vagrant, clone: Path, up: str) -> None:
    # The user of the machine must be able to write, as where the folder belongs to who types `vagrant`.
    owner = vagrant.do("ssh", "-c", "id -u").split()[-1]
    run("chown", "--recursive", owner, clone)
    (clone / ".venv").unlink()
    try:
        said = vagrant.do("reload", "--provision", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    finally:
        (clone / ".venv").symlink_to(ROOT / ".venv")
    assert "/vagrant" in said
    assert recap(said) == [(0, 0, 0)] * 2


def test_destroy_that_is_declined_leaves_everything(vagrant: Vagrant, clone: Path, up: str) -> None:
    kept = sorted((clone / "inventories/vagrant/.secrets").iterdir())
    terminal, other = pty.openpty()
    os.write(terminal, b"n\n")
    command = ["vagrant", "destroy"]
    subprocess.run(command, cwd=clone, env=vagrant.environment, stdin=other, stdout=other, stderr=other, check=False)
    assert containers(clone)
    assert sorted((clone / "inventories/vagrant/.secrets").iterdir()) == kept
    assert (clone / "inventories/vagrant/machines.yml").exists()


def test_destroy_leaves_nothing(vagrant: Vagrant, clone: Path, up: str) -> None:
    assert containers(clone)
    vagrant.do("destroy", "--force")
    assert containers(clone) == []
    assert not (clone / "inventories/vagrant/machines.yml").exists()
    assert not (clone / "inventories/vagrant/.secrets").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, 8443), timeout=5)


# --- the Vagrantfile alone


@pytest.mark.parametrize("provider", ["libvirt", "lxc", "parallels", "virtualbox"])
def test_the_file_is_valid_for(clone: Path, provider: str, tmp_path: Path) -> None:
    """With the provider's own plugin, except for Parallels, which no distribution has."""
    stand_in = tmp_path / "VBoxManage"
    # Vagrant asks VirtualBox for its version before it looks at anything.
    stand_in.write_text("#!/bin/sh\necho 7.0.20r163906\n")
    stand_in.chmod(0o755)
    file = {"VAGRANT_VAGRANTFILE": "Vagrantfile.parallels"} if provider == "parallels" else {}
    (clone / "Vagrantfile.parallels").write_text(PARALLELS)
    path = f"{tmp_path}:{os.environ['PATH']}"
    Vagrant(clone).do("validate", VAGRANT_DEFAULT_PROVIDER=provider, PATH=path, **file)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SLIPWAY_MEMORY_MB", "2G", 'SLIPWAY_MEMORY_MB is "2G": it must be a whole number, for example'),
        ("SLIPWAY_MEMORY_MB", "512", "SLIPWAY_MEMORY_MB is 512: it must be 1024 or more"),
        ("SLIPWAY_CPUS", "0", "SLIPWAY_CPUS is 0: it must be 1 or more"),
        ("SLIPWAY_ADDRESS", "256.0.0.1", 'SLIPWAY_ADDRESS is "256.0.0.1": it must be an IPv4 address'),
        ("SLIPWAY_ADDRESS", "localhost", 'SLIPWAY_ADDRESS is "localhost": it must be an IPv4 address'),
        ("SLIPWAY_BOX", "", 'SLIPWAY_BOX is "": it must be the name of a box'),
    ],
)
def test_a_wrong_value_is_told_before_anything_begins(clone: Path, name: str, value: str, words: str) -> None:
    code, said = Vagrant(clone).ask("up", **{name: value})
    assert code != 0
    assert words in said
    assert len(said.splitlines()) == 1
