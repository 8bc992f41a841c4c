"""Whatever a run does to sshd, keys, sudo or the firewall, the operator can log in afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inventory
import pytest
from releases import Play
from support import eventually, soak
from testinfra.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.system,
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
    # Not too often: since OpenSSH 9.8 sshd makes an address wait that fails.
    time.sleep(50)
    assert eventually(lambda: gets_in(host), seconds=40, pause=8)


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
    files = "/etc/nftables.conf /etc/fail2ban/jail.d/slipway.conf"
    host.check_output(f"tar -cPf /root/rules.tar {files}")
    yield
    host.check_output("tar -xPf /root/rules.tar && rm /root/rules.tar")
    host.check_output("systemctl reload nftables && systemctl restart fail2ban")


@pytest.mark.parametrize("port", [OTHER_PORT, soak(443)])
def test_rules_that_close_the_port_of_the_run_are_taken_back(host: Host, rules: None, port: int) -> None:
    done = start(host, "firewall_configure,firewall_service", firewall_ssh_port=port).wait()
    assert done.process.returncode != 0
    assert "nobody could log in" in " ".join(done.output.split())
    assert gets_in(host)


SOCKET = f"[Socket]\nListenStream=\nListenStream=22\nListenStream={OTHER_PORT}\n"


@pytest.fixture
def other_port(host: Host) -> Iterator[None]:
    """sshd listens on one more port, whether it does so itself or systemd's socket for it."""
    sshd, socket = "/etc/ssh/sshd_config.d/99-port.conf", "/etc/systemd/system/ssh.socket.d/port.conf"
    restart = "systemctl daemon-reload && if systemctl is-active --quiet ssh.socket; then systemctl stop ssh.service &&"
    restart += " systemctl restart ssh.socket; else systemctl restart ssh.service; fi"
    host.check_output(f"printf 'Port 22\nPort {OTHER_PORT}\n' > {sshd}")
    host.check_output(f"mkdir -p {Path(socket).parent} && printf '{SOCKET}' > {socket} && {restart}")
    yield
    host.check_output(f"rm -r {sshd} {Path(socket).parent} && {restart}")


def test_the_port_of_the_run_stays_open(host: Host, rules: None, other_port: None) -> None:
    host.check_output(f"nft insert rule inet slipway input tcp dport {OTHER_PORT} accept")
    done = start(host, "firewall_configure,firewall_service", ansible_port=OTHER_PORT).wait()
    assert done.process.returncode == 0, done.output
    assert gets_in(host, "-o", f"Port={OTHER_PORT}")


# --- the ban list


@pytest.fixture
def nobody(host: Host) -> Iterator[str]:
    """An address of this machine from which nobody has ever logged in to the host."""
    address = inventory.variables(host)["ansible_host"].rpartition(".")[0] + ".77"
    (route,) = json.loads(run("ip", "-json", "route", "get", inventory.variables(host)["ansible_host"]).stdout)
    run("ip", "address", "add", f"{address}/32", "dev", route["dev"])
    yield address
    run("ip", "address", "del", f"{address}/32", "dev", route["dev"])
    host.run(f"fail2ban-client set sshd unbanip {address}")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_who_tries_wrong_keys_is_soon_refused_at_once(host: Host, nobody: str, tmp_path: Path) -> None:
    key = str(tmp_path / "key")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    values = inventory.variables(host)
    options = ["-i", key, "-b", nobody, "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    command = ["ssh", *options, f"{values['ansible_user']}@{values['ansible_host']}", "true"]

    def refusal() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    assert "Permission denied" in refusal()
    # By the ban list, or by sshd itself since OpenSSH 9.8.
    assert eventually(lambda: "Permission denied" not in refusal(), seconds=60, pause=0.1)
    # New connections alone: a session of somebody behind the same address goes on.
    rules = host.check_output(
        "nft list table inet f2b-table || fail2ban-client set sshd banip 192.0.2.9 && nft list ruleset"
    )
    assert "ct state new" in next(line for line in rules.splitlines() if "@addr-set-sshd" in line)


def test_who_logs_in_with_a_key_may_mistype_a_name(host: Host) -> None:
    for _ in range(6):
        log_in(host, user="root")
    address = host.check_output("journalctl -u ssh -g '^Accepted publickey' -n 1 -o cat").split(" from ")[1].split()[0]
    assert host.run(f"ssh-address-known {address}").rc == 0
    assert address not in host.check_output("fail2ban-client status sshd")
    # sshd itself makes such an address wait for some seconds, since OpenSSH 9.8.
    assert eventually(lambda: gets_in(host), seconds=60, pause=10)
