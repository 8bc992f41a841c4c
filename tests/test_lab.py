"""What the lab decides before it boots a host: suites, addresses, ports, and what it reads of an inventory."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from lab import controller, network
from lab.host import Host, dns_lines
from lab.inventory import Inventory, choose_suites, host_variables, state_name
from lab.network import Network, destinations
from lab.processes import command_line, descendants


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLIPWAY_NETWORK", "SLIPWAY_SUITES"):
        monkeypatch.delenv(name, raising=False)


# --- suites


@pytest.mark.parametrize(
    ("distribution", "codename", "neighbour"),
    [("debian", "bookworm", "trixie"), ("debian", "trixie", "bookworm"), ("ubuntu", "resolute", "noble")],
)
def test_a_controller_tests_its_own_suite_first(distribution: str, codename: str, neighbour: str) -> None:
    assert controller.with_neighbour(distribution, codename) == [codename, neighbour]


def test_a_controller_that_is_not_supported_is_told_which_are() -> None:
    with pytest.raises(UserError, match=r"^debian buster is not supported as a controller \(debian: bookworm, trixie;"):
        controller.with_neighbour("debian", "buster")


def test_suites_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_SUITES", "noble jammy")
    assert controller.tested_suites() == ["noble", "jammy"]


@pytest.mark.parametrize(
    ("own", "suites"),
    [
        (("debian", "bookworm"), ["bookworm", "trixie", "forky"]),
        (("ubuntu", "noble"), ["noble", "jammy", "resolute"]),
    ],
)
def test_the_newest_system_is_tested_everywhere(
    monkeypatch: pytest.MonkeyPatch, own: tuple[str, str], suites: list[str]
) -> None:
    monkeypatch.setattr(controller, "own_suite", lambda: own)
    assert controller.tested_suites() == suites


def test_of_debian_testing_only_the_main_archive_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "own_suite", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(
        controller, "run", lambda *_: "http://a/debian stable bookworm\nhttp://b/security x bookworm-security\n"
    )
    assert controller.archives("forky") == ["deb http://a/debian forky main"]
    assert controller.archives("trixie")[1:] == [
        "deb http://a/debian trixie-updates main",
        "deb http://b/security trixie-security main",
    ]


def test_the_resolvers_of_this_machine_are_those_of_the_hosts() -> None:
    file = "# ours\nsearch a.test\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"
    assert dns_lines(file) == "DNS=10.0.0.1\nDNS=10.0.0.2"


def test_hosts_share_out_the_suites() -> None:
    hosts = {"web1": {"machine_release": 0}, "web2": {"machine_release": 1}, "data": {}}
    assert choose_suites(hosts, ["noble", "jammy"]) == {"web1": "noble", "web2": "jammy", "data": "noble"}
    assert choose_suites(hosts, ["noble"]) == dict.fromkeys(hosts, "noble")


# --- networks


def test_each_network_has_addresses_and_ports_of_its_own() -> None:
    first, second = Network(0), Network(1)
    assert not first.range.overlaps(second.range)
    assert set(first.ports.values()).isdisjoint(second.ports.values())
    assert [second.address(index) for index in (0, 1)] == ["10.213.1.10", "10.213.1.11"]
    assert str(second.gateway) == "10.213.1.1"


def test_the_range_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_NETWORK", "10.77")
    assert Network(3).address(0) == "10.77.3.10"


@pytest.mark.parametrize("prefix", ["10", "10.77.1", "10.777", "fd00:"])
def test_a_range_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("SLIPWAY_NETWORK", prefix)
    with pytest.raises(UserError, match=f"SLIPWAY_NETWORK is {prefix}, and should be the first two numbers"):
        Network(0)


def test_routes_say_which_ranges_are_taken() -> None:
    routes = [{"dst": "default"}, {"dst": "10.213.0.5"}, {"dst": "172.17.0.1/16"}, {"dst": "fe80::/64"}]
    assert destinations(routes) == [
        ipaddress.IPv4Network("10.213.0.5/32"),
        ipaddress.IPv4Network("172.17.0.0/16"),
    ]


def test_the_first_free_network_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "is_free", lambda each: each.number >= 2)
    assert network.first_free().number == 2


@pytest.mark.parametrize(
    ("route", "free"), [("10.213.1.128/25", False), ("10.213.0.0/16", False), ("10.213.2.0/24", True)]
)
def test_a_range_that_a_route_leads_to_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, free: bool
) -> None:
    monkeypatch.setattr(network, "DEVICES", tmp_path)
    monkeypatch.setattr(network, "run", lambda *_: json.dumps([{"dst": route}]))
    monkeypatch.setattr(network, "listening", lambda _: False)
    assert Network(1).is_free() is free


def test_no_free_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "is_free", lambda each: False)
    with pytest.raises(UserError, match="No address range is free for the hosts: set SLIPWAY_NETWORK to"):
        network.first_free()


def test_only_a_published_host_answers_at_ports_of_this_machine() -> None:
    assert "ip daddr 127.0.0.1 tcp dport 8444 dnat to 10.213.1.10:8444" in Network(1).rules("10.213.1.10")
    assert "dnat" not in Network(1).rules(None)


# --- inventories


def test_hosts_are_read_in_the_order_of_their_names() -> None:
    listing = {
        "_meta": {"hostvars": {"web": {"machine_release": 1}}},
        "all": {"children": ["group"]},
        "group": {"hosts": ["web", "data"]},
        "other": {"hosts": ["web"]},
    }
    assert list(host_variables(listing).items()) == [("data", {}), ("web", {"machine_release": 1})]


@pytest.mark.parametrize(
    ("folder", "name"),
    [("inventories/local", "local"), ("molecule/releases/inventory", "molecule-releases-inventory")],
)
def test_what_is_kept_of_an_inventory_has_its_name(folder: str, name: str) -> None:
    assert state_name(Path(folder)) == name


def test_a_folder_without_hosts_is_no_inventory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no inventory: it has no hosts.yml\.$"):
        Inventory(tmp_path)


def test_an_inventory_outside_of_the_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").touch()
    with pytest.raises(UserError, match=r"lies outside of .*: hosts are booted for its own inventories only\.$"):
        Inventory(tmp_path)


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """One in a checkout of its own."""
    monkeypatch.setattr("lab.inventory.REPOSITORY", tmp_path)
    monkeypatch.setattr("lab.inventory.CACHE", tmp_path / ".cache")
    folder = tmp_path / "inventories/local"
    folder.mkdir(parents=True)
    (folder / "hosts.yml").touch()
    return Inventory(folder)


def test_an_inventory_keeps_its_network(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "first_free", lambda: Network(5))
    assert inventory.network().number == 5
    monkeypatch.setattr(network, "first_free", lambda: Network(6))
    assert inventory.network().number == 5


def test_ansible_reads_how_to_reach_the_hosts(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "public_key", lambda each: f"ssh-ed25519 key-of-{each.name}")
    inventory.secrets.mkdir()
    net = Network(1)
    inventory.write([Host("web", inventory.state / "web", net, "10.213.1.10")], net.ports)
    program = str(Path(sys.executable).with_name("ansible-inventory"))
    command = [program, "-i", str(inventory.machines), "--host", "web"]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for value in ('"10.213.1.10"', '"admin"', "8444", f"UserKnownHostsFile={inventory.secrets}/known_hosts"):
        assert value in read
    assert (inventory.secrets / "known_hosts").read_text() == "10.213.1.10 ssh-ed25519 key-of-web\n"


# --- processes


def test_descendants_are_found_in_sessions_of_their_own() -> None:
    with subprocess.Popen(["setsid", "--fork", "--wait", "sh", "-c", "sleep 10 & wait"]) as parent:
        try:
            while (lines := [command_line(each) for each in descendants(parent.pid)])[-1:] != ["sleep 10 "]:
                assert parent.poll() is None, lines
        finally:
            for each in descendants(parent.pid):
                os.kill(each, 15)


def test_a_process_that_has_ended_has_no_descendants() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert descendants(ended.pid) == []
    assert command_line(ended.pid) == ""
