"""Whatever a run does to sshd, keys, sudo or the firewall, the operator can log in afterwards."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inventory
import pytest
from releases import Play
from support import MACHINES, eventually, soak
from testinfra.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.destructive,
    pytest.mark.slipway,
    pytest.mark.group("web"),
    pytest.mark.units("ssh"),
]
DROP_IN = "/etc/ssh/sshd_config.d/00-slipway.conf"
OTHER_PORT = 2222


def start(host: Host, tags: str, **variables: Any) -> Play:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    folder = inventory.variables(host)["inventory_dir"]
    words = ["ansible/site.yml", f"--limit={host.backend.host}", f"--tags={tags}", "-e", json.dumps(variables)]
    return Play([program, "-i", folder, *words])


def log_in(host: Host, *options: str, user: str = "") -> subprocess.CompletedProcess[str]:
    """Become root over a connection of its own."""
    user = user or inventory.variables(host)["ansible_user"]
    command = [*inventory.ssh(host, *options), "-l", user, "sudo -n id -un"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def gets_in(host: Host, *options: str, user: str = "") -> bool:
    return log_in(host, *options, user=user).stdout.strip() == "root"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The public half of a key that nobody knows."""
    path = tmp_path_factory.mktemp("stranger") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


def administrators(host: Host, key: str) -> list[dict[str, Any]]:
    return [{"name": inventory.variables(host)["ansible_user"], "keys": [key]}]


def test_a_key_that_is_not_the_operator_s_is_taken_back(host: Host, stranger: str) -> None:
    done = start(host, "ssh", project_admins=administrators(host, stranger)).wait()
    assert done.process.returncode != 0
    assert "nobody could log in" in " ".join(done.output.split())
    assert gets_in(host)
    assert stranger not in host.check_output(f"cat ~{inventory.variables(host)['ansible_user']}/.ssh/authorized_keys")


def test_a_run_that_dies_before_its_proof_is_taken_back_by_the_host(host: Host, stranger: str) -> None:
    killed = start(host, "ssh", project_admins=administrators(host, stranger))
    killed.reaches("Let them become root")
    killed.kill()
    assert not gets_in(host)
    eventually(lambda: gets_in(host), seconds=75, pause=2)


@pytest.fixture
def root(host: Host) -> Iterator[None]:
    """A host where only root has a key of the operator's in use, as one of a cloud."""
    host.check_output(f"cp -p {DROP_IN} /root/drop-in && sed -i 's/^PermitRootLogin.*/PermitRootLogin yes/' {DROP_IN}")
    user = inventory.variables(host)["ansible_user"]
    host.check_output(
        f"install -D -m 600 ~{user}/.ssh/authorized_keys /root/.ssh/authorized_keys && systemctl reload ssh"
    )
    yield
    host.check_output(f"mv /root/drop-in {DROP_IN} && rm /root/.ssh/authorized_keys && systemctl reload ssh")


def test_root_logs_in_until_somebody_else_can(host: Host, root: None, stranger: str) -> None:
    ada = {"project_admins": [{"name": "ada", "keys": [stranger]}], "ansible_user": "ada"}
    done = start(host, "ssh", ansible_ssh_user="root", **ada).wait()
    assert done.process.returncode != 0
    assert "ada: Failed to connect" in " ".join(done.output.split())
    assert gets_in(host, user="root")
    host.check_output("userdel --remove ada")
    assert start(host, "ssh", ansible_ssh_user="root").wait().process.returncode == 0
    assert not gets_in(host, user="root")
    assert gets_in(host)


# --- the firewall


@pytest.fixture
def rules(host: Host) -> Iterator[None]:
    """Open connections stay, so that the rules come back whatever a test did to new ones."""
    host.check_output("cp -p /etc/nftables.conf /root/nftables.conf")
    yield
    host.check_output("mv /root/nftables.conf /etc/nftables.conf && systemctl reload nftables")


@pytest.mark.parametrize("port", [OTHER_PORT, soak(443)])
def test_rules_that_close_the_port_of_the_run_are_taken_back(host: Host, rules: None, port: int) -> None:
    done = start(host, "firewall_configure,firewall_service", firewall_ssh_port=port).wait()
    assert done.process.returncode != 0
    assert "nobody could log in" in " ".join(done.output.split())
    assert gets_in(host)


def test_the_port_of_the_run_stays_open(host: Host, rules: None) -> None:
    other = "/etc/ssh/sshd_config.d/99-port.conf"
    host.check_output(f"printf 'Port 22\\nPort {OTHER_PORT}\\n' > {other} && systemctl restart ssh")
    host.check_output(f"nft insert rule inet slipway input tcp dport {OTHER_PORT} accept")
    try:
        done = start(host, "firewall_configure,firewall_service", ansible_port=OTHER_PORT).wait()
        assert done.process.returncode == 0, done.output
        assert gets_in(host, "-o", f"Port={OTHER_PORT}")
    finally:
        host.check_output(f"rm {other} && systemctl restart ssh")


# --- the ban list


@contextlib.contextmanager
def address_of_nobody(host: Host, attacker: Host) -> Iterator[str]:
    """An address in the host's network from which nobody has ever logged in."""
    beginning = inventory.variables(host)["ansible_host"].rpartition(".")[0]
    address = f"{beginning}.77"
    attacker.check_output(f"ip address add {address}/24 dev host0")
    try:
        yield address
    finally:
        attacker.check_output(f"ip address del {address}/24 dev host0")
        host.run(f"fail2ban-client set sshd unbanip {address}")


@pytest.fixture
def attacker(host: Host, request: pytest.FixtureRequest) -> Host:
    others = [machine for machine in request.config.stash[MACHINES] if machine.backend.host != host.backend.host]
    if not others:
        pytest.skip("This inventory has one host.")
    return others[0]


def test_wrong_keys_are_banned_and_sessions_that_are_open_go_on(host: Host, attacker: Host) -> None:
    values = inventory.variables(host)
    wrong = "/root/wrong"
    attacker.check_output(f"rm -f {wrong}* && ssh-keygen -q -t ed25519 -N '' -f {wrong}")
    with address_of_nobody(host, attacker) as address:
        ssh = (
            f"ssh -i {wrong} -b {address} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        )
        for _ in range(12):
            attacker.run(f"{ssh} {values['ansible_user']}@{values['ansible_host']} true")
        banned = "fail2ban-client status sshd"
        assert eventually(lambda: address in host.check_output(banned), seconds=30)
        refusal = attacker.run(f"{ssh} {values['ansible_user']}@{values['ansible_host']} true").stderr
        assert "Connection refused" in refusal
        # New connections alone: a session of somebody behind the same address goes on.
        chain = host.check_output("nft list table inet f2b-table")
        assert "ct state new" in next(line for line in chain.splitlines() if "@addr-set-sshd" in line)
    attacker.run(f"rm -f {wrong}*")


def test_who_logs_in_with_a_key_may_mistype_a_name(host: Host) -> None:
    for _ in range(6):
        log_in(host, user="root")
    address = host.check_output("journalctl -u ssh -g '^Accepted publickey' -n 1 -o cat").split(" from ")[1].split()[0]
    assert host.run(f"ssh-address-known {address}").rc == 0
    assert address not in host.check_output("fail2ban-client status sshd")
    assert gets_in(host)
