"""What the network sees: nmap of the open ports, ssh-audit of sshd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from grade import image
from grade.row import Row
from grade.target import Target

# All of TCP, and the ports of UDP that are open most often. A firewall that drops answers nothing: do not wait long.
SCANS = {
    "TCP": ("-sS", "-p-", "--min-rate=3000", "--max-retries=2"),
    "UDP": ("-sU", "--top-ports=100", "--max-retries=1"),
}


def nmap(target: Target) -> Iterator[Row]:
    for family, address in addresses(target).items():
        for protocol, options in SCANS.items():
            wanted = public_ports(target) if protocol == "TCP" else set()
            command = ["nmap", "-n", "-Pn", "-oX", "-", *options, *(["-6"] if family == "IPv6" else []), address]
            found = open_ports(image.inside(*command))
            texts = [", ".join(map(str, sorted(ports))) or "nothing" for ports in (wanted, found)]
            of = f"{target.name}, {protocol}, {family}"
            yield Row("nmap", image.version("nmap"), of, f"open: {texts[0]}", f"open: {texts[1]}", found == wanted)


def addresses(target: Target) -> dict[str, str]:
    """The address that the inventory has, and the public one of IPv6 where the host has it."""
    found = {"IPv6" if ":" in target.address else "IPv4": target.address}
    for link in json.loads(target.run("ip -json -6 address show scope global") or "[]"):
        for entry in link.get("addr_info", []):
            found.setdefault("IPv6", entry["local"])
    return found


def public_ports(target: Target) -> set[int]:
    """What the inventory opens to everybody."""
    values = target.variables
    ports = {int(values.get("ansible_port", 22))}
    if target.serves:
        ports |= {int(values.get("project_http_port", 80)), int(values.get("project_https_port", 443))}
    return ports


def open_ports(report: str) -> set[int]:
    # nmap wrote it on this machine.
    root = ElementTree.fromstring(report)  # noqa: S314
    states = ((int(port.attrib["portid"]), port.find("state")) for port in root.iter("port"))
    return {number for number, state in states if state is not None and state.attrib["state"] == "open"}


def ssh_audit(target: Target) -> Iterator[Row]:
    program = Path(sys.executable).with_name("ssh-audit")
    port = str(target.variables.get("ansible_port", 22))
    done = subprocess.run(
        [program, "--json", f"--port={port}", target.address], capture_output=True, text=True, check=False
    )
    seen, holds = judge_ssh(json.loads(done.stdout))
    wanted = "no fail, and no warning but of quantum computers"
    yield Row("ssh-audit", version("ssh-audit"), f"{target.name}, port {port}", wanted, seen, holds)


def judge_ssh(answer: dict[str, Any]) -> tuple[str, bool]:
    notes: dict[str, set[str]] = {"fail": set(), "warn": set()}
    quantum = 0
    for kind in ("kex", "key", "enc", "mac"):
        for algorithm in answer.get(kind, []):
            for level, texts in algorithm.get("notes", {}).items():
                for text in texts:
                    if level == "warn" and "post-quantum" in text:
                        quantum += 1
                    elif level in notes:
                        notes[level].add(f"{algorithm['algorithm']}: {text}")
    seen = [f"{len(notes['fail'])} fail, {len(notes['warn'])} warn, {quantum} without post-quantum security"]
    return "; ".join([*seen, *sorted(notes["fail"] | notes["warn"])]), not (notes["fail"] or notes["warn"])
