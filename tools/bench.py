#!/usr/bin/env python3
"""Measure how long the local host takes, beside what apt alone would take: the figures of docs/performance.md.

Each round makes the host anew and times, one after the other, the whole of `make up`'s work with the base image
cached, a run that changes nothing, and apt installing the same packages by hand in a bare host. Prints every round,
the medians, and the ratio of the medians. Removes what it made; refuses to start beside an existing local host.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
INVENTORY = "inventories/local"
BIN = Path(sys.executable).parent
LAB = [sys.executable, "-m", "lab"]
IMPORTED = {"PYTHONPATH": "tools:ansible/collections"}
PLAY: list[str | Path] = [BIN / "ansible-playbook", "-i", INVENTORY, "ansible/site.yml"]


def timed(*commands: Sequence[str | Path]) -> float:
    """Seconds that the commands take, one after the other."""
    start = time.monotonic()
    for command in commands:
        subprocess.run(command, cwd=REPOSITORY, env=os.environ | IMPORTED, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def packages() -> list[str]:
    """Names that the roles give to apt."""
    names = {"ca-certificates", "systemd-timesyncd", "tzdata", "unattended-upgrades"}
    for tasks in REPOSITORY.glob("roles/*/tasks/install.yml"):
        for one, several in re.findall(r"apt:\n    name:(?: ([\w.+-]+)\n|((?:\n {6}\S.*)+))", tasks.read_text()):
            names.update([one] if one else re.findall(r"^ {6}- ([\w.+-]+)$", several, re.MULTILINE))
    return sorted(names)


def by_hand() -> list[str | Path]:
    install = "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends"
    remote = f"sudo apt-get -qq update && sudo {install} {' '.join(packages())}"
    return [BIN / "ansible", "-i", INVENTORY, "all", "-m", "ansible.builtin.shell", "-a", remote]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if (REPOSITORY / INVENTORY / "machines.yml").exists():
        sys.exit("The local host exists: run `make down` first, since each round makes it anew.")
    up, down = [*LAB, "up", INVENTORY], [*LAB, "down", INVENTORY]
    timed(up, down)
    figures: dict[str, list[float]] = {"make up": [], "nothing to change": [], "apt by hand": []}
    for place in range(rounds):
        figures["make up"].append(timed(up, PLAY))
        figures["nothing to change"].append(timed(PLAY))
        timed(down, up)
        figures["apt by hand"].append(timed(by_hand()))
        timed(down)
        print(
            f"round {place + 1}: " + ", ".join(f"{name} {seconds[-1]:.1f} s" for name, seconds in figures.items()),
            flush=True,
        )
    medians = {name: statistics.median(seconds) for name, seconds in figures.items()}
    print("median:  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in medians.items()))
    print(f"make up takes {medians['make up'] / medians['apt by hand']:.2f} times as long as apt by hand")


if __name__ == "__main__":
    main()
