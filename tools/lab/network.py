"""The networks that this program may use: each a bridge, an address range and an nftables table."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from lab.commands import run, succeeds

COUNT = 32
# Copies of this program that choose a network wait here for each other.
LOCK = Path("/run/lock/slipway-machines.lock")
DEVICES = Path("/sys/class/net")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDING_WAS_OFF = Path("/run/slipway-forwarding-was-off")
# The first address of a range is the bridge's own; hosts begin behind those that people give out by hand.
FIRST_HOST = 10


class Network:
    """Number `number` of the networks."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"slipway{number}"
        prefix = os.environ.get("SLIPWAY_NETWORK", "10.213")
        try:
            self.range = ipaddress.IPv4Network(f"{prefix}.{number}.0/24")
        except ValueError as error:
            raise UserError(
                f"SLIPWAY_NETWORK is {prefix}, and should be the first two numbers of a private range: 10.77."
            ) from error
        self.gateway = self.range[1]
        self.ports = {"project_http_port": 8080 + number, "project_https_port": 8443 + number}

    def address(self, index: int) -> str:
        return str(self.range[FIRST_HOST + index])

    def is_free(self) -> bool:
        if (DEVICES / self.name).exists():
            return False
        routes = json.loads(run("ip", "-json", "route", "show", "table", "all", "type", "unicast"))
        taken = any(self.range.overlaps(other) for other in destinations(routes))
        return not taken and not any(map(listening, self.ports.values()))

    def create(self, published: str | None) -> None:
        """Make it; the host at the address `published` answers at this machine's ports too."""
        if not (DEVICES / self.name).exists():
            run("ip", "link", "add", self.name, "type", "bridge")
            run("ip", "address", "add", f"{self.gateway}/24", "dev", self.name)
            run("ip", "link", "set", self.name, "up")
        if FORWARDING.read_text().strip() == "0":
            FORWARDING_WAS_OFF.touch()
            FORWARDING.write_text("1")
        # Only this bridge may carry packets that were addressed to 127.0.0.1 on this machine.
        Path(f"/proc/sys/net/ipv4/conf/{self.name}/route_localnet").write_text("1")
        run("nft", "-f", "-", text=self.rules(published))
        # Docker and ufw drop what they do not know in iptables' FORWARD chain.
        for rule in self.forward_rules():
            if not succeeds("iptables", "--check", *rule):
                run("iptables", "--insert", *rule)

    def rules(self, published: str | None) -> str:
        publish = "\n".join(
            f"ip daddr 127.0.0.1 tcp dport {port} dnat to {published}:{port}"
            for port in self.ports.values()
            if published
        )
        return f"""
            table ip {self.name} {{}}
            delete table ip {self.name}
            table ip {self.name} {{
                chain output {{ type nat hook output priority -100; {publish}
                }}
                chain postrouting {{
                    type nat hook postrouting priority 100
                    ip saddr {self.range} oifname != "{self.name}" masquerade
                    ip saddr 127.0.0.1 oifname "{self.name}" masquerade
                }}
            }}
        """

    def forward_rules(self) -> list[tuple[str, ...]]:
        if not shutil.which("iptables") or not succeeds("iptables", "--list-rules", "FORWARD"):
            return []
        return [("FORWARD", way, self.name, "--jump", "ACCEPT") for way in ("--in-interface", "--out-interface")]

    def remove(self) -> None:
        for rule in self.forward_rules():
            while succeeds("iptables", "--delete", *rule):
                pass
        succeeds("nft", "delete", "table", "ip", self.name)
        succeeds("ip", "link", "delete", self.name)
        others = any(DEVICES.glob("slipway*"))
        if FORWARDING_WAS_OFF.exists() and not others:
            FORWARDING.write_text("0")
            FORWARDING_WAS_OFF.unlink()


def first_free() -> Network:
    for network in map(Network, range(COUNT)):
        if network.is_free():
            return network
    raise UserError(
        "No address range is free for the hosts: set SLIPWAY_NETWORK to the first two numbers of a private "
        "range that this machine does not use, for example SLIPWAY_NETWORK=10.77."
    )


def destinations(routes: Iterable[Mapping[str, str]]) -> list[ipaddress.IPv4Network]:
    """The IPv4 ranges that routes, as `ip -json route` prints them, lead to."""
    named = (route["dst"] for route in routes)
    return [ipaddress.IPv4Network(name, strict=False) for name in named if name != "default" and ":" not in name]


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def uplink_mtu() -> int:
    """Bytes that a packet to the outside may have: hosts must not send larger ones."""
    routes = json.loads(run("ip", "-json", "route", "show", "default"))
    device = routes[0]["dev"] if routes else "lo"
    return min(1500, int((DEVICES / device / "mtu").read_text()))
