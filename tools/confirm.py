#!/usr/bin/env python3
"""Ask before a command changes the hosts of an environment, the first time in a day that this person types it.

    confirm.py INVENTORY PLAYBOOK WHAT [LIMIT]

Exits with 0 where the answer is yes, where it was asked today, and where standard input is no terminal.
"""

import contextlib
import datetime
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote


def find_hosts(inventory: str, playbook: str, limit: str) -> list[str]:
    """The hosts that the playbook would change; none where Ansible cannot tell, which its run will explain."""
    ansible = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [ansible, "-i", inventory, playbook, "--list-hosts", *([f"--limit={limit}"] if limit else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # Below `hosts (2):`, each on a line of its own.
    names = [line.strip() for line in done.stdout.splitlines() if line.startswith(" " * 6)]
    return list(dict.fromkeys(names)) if done.returncode == 0 else []


def memory(inventory: str, playbook: str) -> Path:
    """The file with the day of the last yes. Each person has their own: the checkout may be somebody else's."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "slipway/confirmed", quote(f"{Path(inventory).resolve()} {Path(playbook).stem}", safe=""))


def main(inventory: str, playbook: str, what: str, limit: str = "") -> int:
    today = datetime.datetime.now().astimezone().date().isoformat()
    asked = memory(inventory, playbook)
    if not sys.stdin.isatty() or (asked.exists() and asked.read_text() == today):
        return 0
    if not (hosts := find_hosts(inventory, playbook, limit)):
        return 0
    names = f"{len(hosts)} host{'s' * (len(hosts) > 1)}: {', '.join(hosts)}"
    print(f"{what}, for the first time today, on {names}.", file=sys.stderr)
    print("Type yes to go on (YES=yes does not ask): ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        print("Nothing was changed.", file=sys.stderr)
        return 1
    # Who cannot write there is asked again.
    with contextlib.suppress(OSError):
        asked.parent.mkdir(parents=True, exist_ok=True)
        asked.write_text(today)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
