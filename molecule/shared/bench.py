#!/usr/bin/env python3
"""Measure how long the local host takes, beside what apt alone would take: the figures of docs/performance.md.

Each round makes the host anew and times, one after the other, the whole of `make up`'s work with the base image
cached, a run that changes nothing, and apt installing the same packages by hand in a bare host. Prints every round,
the medians, and the ratio of the medians. Removes what it made; refuses to start beside an existing local host.
"""

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
INVENTORY = "inventories/local"
BIN = Path(sys.executable).parent
MACHINES = [sys.executable, "molecule/shared/machines.py"]
PLAY = [BIN / "ansible-playbook", "-i", INVENTORY, "ansible/site.yml"]


def timed(*commands):
    """Seconds that the commands take, one after the other."""
    start = time.monotonic()
    for command in commands:
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def packages():
    """Names that the roles give to apt."""
    names = {"ca-certificates", "systemd-timesyncd", "tzdata", "unattended-upgrades"}
    for tasks in REPOSITORY.glob("roles/*/tasks/install.yml"):
        for block in re.findall(r"apt:\n    name:(?: (?!>)(\S+)|((?:\n      - \S+)+))", tasks.read_text()):
            names.update(word for word in " ".join(block).split() if word != "-")
    return sorted(names)


def by_hand():
    install = "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends"
    remote = f"sudo apt-get -qq update && sudo {install} {' '.join(packages())}"
    return [BIN / "ansible", "-i", INVENTORY, "all", "-m", "ansible.builtin.shell", "-a", remote]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if (REPOSITORY / INVENTORY / "machines.yml").exists():
        sys.exit("The local host exists: run `make down` first, since each round makes it anew.")
    up, down = [*MACHINES, "up", INVENTORY], [*MACHINES, "down", INVENTORY]
    timed(up, down)
    figures = {"make up": [], "nothing to change": [], "apt by hand": []}
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
