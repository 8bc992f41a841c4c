import subprocess
from collections.abc import Iterator
from pathlib import Path

import inventory
import pytest
from testinfra.host import Host

pytestmark = pytest.mark.units("ssh")


def knock(host: Host, *options: str) -> subprocess.CompletedProcess[str]:
    """What an SSH client of this machine is told by the host."""
    command = [*inventory.ssh(host, *options), "true"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def effective(host: Host) -> dict[str, str]:
    """sshd's settings, as it reads them itself."""
    lines = host.check_output("sshd -T").splitlines()
    # OpenSSH 10 writes them in mixed case, and 10.6 one `no` as `false`.
    return {
        name.lower(): {"false": "no"}.get(value, value) for name, _, value in (line.partition(" ") for line in lines)
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("permitrootlogin", "no"),
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitemptypasswords", "no"),
        ("authenticationmethods", "publickey"),
        ("x11forwarding", "no"),
        ("allowagentforwarding", "no"),
        ("allowstreamlocalforwarding", "no"),
        ("permittunnel", "no"),
        ("maxauthtries", "3"),
        ("maxsessions", "4"),
        ("loglevel", "VERBOSE"),
        ("tcpkeepalive", "no"),
        ("logingracetime", "30"),
    ],
)
def test_sshd_is_set(effective: dict[str, str], name: str, value: str) -> None:
    assert effective[name] == value


def test_sshd_forwards_nothing_unless_the_inventory_wants_it(host: Host, effective: dict[str, str]) -> None:
    wanted = inventory.variables(host).get("ssh_forwarding_enabled", False)
    assert effective["allowtcpforwarding"] == ("local" if wanted else "no")


@pytest.mark.parametrize("name", ["ciphers", "macs", "kexalgorithms"])
@pytest.mark.parametrize("weak", ["cbc", "sha1", "md5", "3des", "umac-64", "hmac-sha2-256,"])
def test_sshd_offers_nothing_weak(effective: dict[str, str], name: str, weak: str) -> None:
    assert weak not in effective[name] + ","


def test_sshd_proves_who_it_is_with_strong_keys_alone(host: Host) -> None:
    lines = host.check_output("sshd -T").lower().splitlines()
    keys = {Path(line.split()[1]).name for line in lines if line.startswith("hostkey ")}
    assert keys == {"ssh_host_ed25519_key", "ssh_host_rsa_key"}


def test_key_exchanges_that_outlive_quantum_computers_come_first(host: Host, effective: dict[str, str]) -> None:
    known = host.check_output("ssh -Q kex").splitlines()
    best = "mlkem768x25519-sha256" if "mlkem768x25519-sha256" in known else "sntrup761x25519-sha512"
    assert effective["kexalgorithms"].startswith(best)


def test_an_administrator_logs_in_with_a_key(host: Host) -> None:
    user = inventory.variables(host).get("ansible_user", "root")
    assert knock(host, "-o", f"User={user}", "-o", "PreferredAuthentications=publickey").returncode == 0


@pytest.mark.parametrize("user", ["root", "postgres", "nobody"])
def test_nobody_is_offered_a_password(host: Host, user: str) -> None:
    """A client that offers nothing hears what it might have offered."""
    answer = knock(host, "-o", f"User={user}", "-o", "PreferredAuthentications=none")
    assert answer.returncode == 255
    assert "Permission denied (publickey)." in answer.stderr


@pytest.fixture
def key(host: Host) -> Iterator[str]:
    """A key that sshd would accept for root and for the administrator, if its own rules let it."""
    user = inventory.variables(host).get("ansible_user", "root")
    files = f"/root/.ssh/authorized_keys ~{user}/.ssh/authorized_keys"
    host.check_output(
        "umask 077; mkdir -p /root/.ssh && rm -f /root/probe* && ssh-keygen -q -t ed25519 -N '' -C probe -f /root/probe"
        f" && tee -a {files} < /root/probe.pub"
    )
    yield "/root/probe"
    host.check_output(f"sed -i '/ probe$/d' {files} && rm -f /root/probe*")


@pytest.mark.destructive
@pytest.mark.system
def test_root_is_refused_even_with_an_authorized_key(host: Host, key: str) -> None:
    """Over loopback, which the ban list ignores. That an administrator gets in shows that the way itself is open."""
    user = inventory.variables(host).get("ansible_user", "root")
    options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    assert host.run(f"ssh {options} -i {key} {user}@127.0.0.1 true || exit 1").rc == 0
    assert host.run(f"ssh {options} -i {key} root@127.0.0.1 true || exit 1").rc == 1
