import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import inventory
import pytest
from support import eventually, play
from testinfra.host import Host

pytestmark = pytest.mark.units("nftables", "fail2ban")

CLOSED = {
    "PostgreSQL": 5432,
    "AMQP": 5672,
    "AMQP with TLS": 5671,
    "RabbitMQ's web pages": 15672,
    "Erlang": 25672,
    "Erlang's mapper": 4369,
}
# A port on which a test listens itself, and an address that is nobody's (RFC 5737).
SPARE_PORT = 9999
NOBODY = "192.0.2.1"


def is_open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def seen(host: Host) -> dict[int, bool]:
    """Which ports another host reaches over the network."""
    variables = inventory.variables(host)
    ports = [
        int(variables.get("ansible_port", 22)),
        int(variables.get("project_http_port", 80)),
        int(variables.get("project_https_port", 443)),
        *CLOSED.values(),
    ]
    address = variables["ansible_host"]
    with ThreadPoolExecutor(len(ports)) as pool:
        return dict(zip(ports, pool.map(lambda port: is_open(address, port), ports), strict=True))


@pytest.mark.parametrize(
    ("variable", "default"),
    [
        ("ansible_port", 22),
        pytest.param("project_http_port", 80, marks=pytest.mark.group("web")),
        pytest.param("project_https_port", 443, marks=pytest.mark.group("web")),
    ],
)
def test_another_host_reaches(host: Host, seen: dict[int, bool], variable: str, default: int) -> None:
    assert seen[int(inventory.variables(host).get(variable, default))]


@pytest.mark.parametrize("service", CLOSED)
def test_another_host_does_not_reach(seen: dict[int, bool], service: str) -> None:
    assert not seen[CLOSED[service]]


@pytest.mark.group("database", "broker")
@pytest.mark.without("web")
@pytest.mark.parametrize(
    ("port", "outcome"),
    [
        pytest.param(5432, "open", marks=pytest.mark.group("database")),
        pytest.param(5671, "open", marks=pytest.mark.group("broker")),
        (5672, "closed"),
        (4369, "closed"),
        (25672, "closed"),
    ],
)
def test_for_a_web_host_a_port_is(host: Host, client: Host, port: int, outcome: str) -> None:
    address = inventory.variables(host)["ansible_host"]
    answer = client.run(f"timeout 2 bash -c ': </dev/tcp/{address}/{port}'")
    assert (answer.rc == 0) == (outcome == "open")


@pytest.mark.destructive
@pytest.mark.system
def test_another_host_does_not_reach_a_port_that_no_rule_names(host: Host) -> None:
    unit = "slipway-test-listener"
    host.check_output(f"systemd-run --quiet --collect --unit={unit} python3 -m http.server {SPARE_PORT}")
    try:
        inside = f"for i in $(seq 50); do bash -c ': </dev/tcp/127.0.0.1/{SPARE_PORT}' && exit; sleep 0.1; done; false"
        assert host.run(inside).rc == 0, "the test's own listener did not start"
        assert not is_open(inventory.variables(host)["ansible_host"], SPARE_PORT)
    finally:
        host.run(f"systemctl stop {unit}")


def test_what_no_rule_names_is_dropped(host: Host) -> None:
    listing = json.loads(host.check_output("nft --json list chain inet slipway input"))["nftables"]
    assert [part["chain"]["policy"] for part in listing if "chain" in part] == ["drop"]


def test_new_ssh_connections_are_limited(host: Host) -> None:
    ruleset = host.check_output("nft list chain inet slipway input")
    assert "add @ssh_clients { ip saddr limit rate over 60/minute burst 60 packets } drop" in ruleset
    assert "add @ssh_clients6 { ip6 saddr limit rate over 60/minute burst 60 packets } drop" in ruleset


@pytest.mark.parametrize("unit", ["nftables", "fail2ban"])
def test_the_firewall_returns_after_a_boot(host: Host, unit: str) -> None:
    assert host.service(unit).is_enabled
    assert host.service(unit).is_running


def test_the_ban_list_watches_ssh(host: Host) -> None:
    assert "Status for the jail: sshd" in host.check_output("fail2ban-client status sshd")


# Two networks behind this host, and a program that forwards between them, as for containers.
FORWARDS = """
set -e
for number in 1 2; do
    ip netns add part$number
    ip link add part$number type veth peer name inner netns part$number
    ip address add 198.51.100.$((number * 4 + 1))/30 dev part$number
    ip link set part$number up
    ip -n part$number address add 198.51.100.$((number * 4 + 2))/30 dev inner
    ip -n part$number link set inner up
    ip -n part$number route add default via 198.51.100.$((number * 4 + 1))
done
nft 'table ip other { chain forward { type filter hook forward priority filter; policy accept; }; }'
echo 1 > /proc/sys/net/ipv4/ip_forward
systemd-run --quiet --collect --unit=slipway-test-listener ip netns exec part2 /usr/bin/python3 -m http.server 80
"""
FORWARDED = "ip netns exec part1 timeout 2 bash -c ': </dev/tcp/198.51.100.10/80'"


@pytest.fixture
def forwards(host: Host) -> Iterator[None]:
    before = host.check_output("cat /proc/sys/net/ipv4/ip_forward")
    try:
        host.check_output(FORWARDS)
        yield
    finally:
        host.run("systemctl stop slipway-test-listener; nft delete table ip other")
        host.run(f"ip netns del part1; ip netns del part2; echo {before} > /proc/sys/net/ipv4/ip_forward")


@pytest.mark.once
@pytest.mark.destructive
def test_what_others_forward_passes(host: Host, forwards: None) -> None:
    """Networks of containers, virtual machines and VPNs are the affair of who made them."""
    assert eventually(lambda: host.run(FORWARDED).rc == 0, seconds=10)
    host.check_output("nft add rule ip other forward drop")
    assert host.run(FORWARDED).rc != 0


@pytest.mark.destructive
@pytest.mark.system
def test_a_banned_address_is_in_the_kernel(host: Host) -> None:
    host.check_output(f"fail2ban-client set sshd banip {NOBODY}")
    try:
        assert NOBODY in host.check_output("nft list ruleset")
    finally:
        host.check_output(f"fail2ban-client set sshd unbanip {NOBODY}")
    assert NOBODY not in host.check_output("nft list ruleset")


@pytest.mark.once
@pytest.mark.system
@pytest.mark.destructive
def test_where_ufw_is_active_nothing_changes(host: Host) -> None:
    if not host.exists("ufw"):
        pytest.skip("This host has no ufw.")
    host.check_output("ufw allow 22/tcp && ufw --force enable")
    try:
        refused = play(host, "site.yml")
    finally:
        host.check_output("ufw delete allow 22/tcp && ufw disable")
    assert refused.returncode == 2
    assert f"ufw is active on {host.backend.host}: it would drop" in " ".join(refused.stdout.split())
    assert "changed=0 " in refused.stdout


@pytest.fixture
def metadata(host: Host) -> Iterator[str]:
    """The address of a cloud's metadata, where the proxy of this host listens now."""
    address = "169.254.169.254"
    host.check_output("ip address add %s/32 dev lo", address)
    yield address
    host.check_output("ip address del %s/32 dev lo", address)


@pytest.mark.destructive
@pytest.mark.once
@pytest.mark.group("web")
@pytest.mark.parametrize(("user", "answer"), [("root", "open"), ("www-data", "ConnectionRefusedError")])
def test_only_root_reaches_what_a_cloud_tells_its_host(host: Host, metadata: str, user: str, answer: str) -> None:
    port = inventory.variables(host).get("project_http_port", 80)
    code = f"import socket; socket.create_connection(('{metadata}', {port}), 5); print('open')"
    done = host.run("runuser -u %s -- python3 -c %s", user, code)
    assert answer in done.stdout + done.stderr
