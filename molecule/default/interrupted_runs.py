#!/usr/bin/env python3
"""Put bare hosts through what may come before a run of the playbook succeeds.

    interrupted_runs.py INVENTORY PLAYBOOK COUNT

First a run in check mode, which must succeed and change nothing; then COUNT runs, each killed with SIGKILL at a
random moment, together with everything that it started on this machine. What runs on the hosts lives on, as it
would after a broken connection. All of them talk as much as they can (`-vvv --diff`), and none may show a secret
of the inventory. The seed is printed: set SLIPWAY_SEED to it to have the same moments again.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from lab.processes import descendants

# The first run is killed within this time, each later one may live that much longer: all roles get their turn.
STEP_SECONDS = 40


def leaked(output: str, inventory: str) -> list[str]:
    """Names of the inventory's secrets whose content stands in the output."""
    folder = Path(inventory, ".secrets")
    files = [path for path in folder.iterdir() if path.suffix not in (".pub", ".crt") and path.name != "known_hosts"]
    return sorted(path.name for path in files if any(line in output for line in private_lines(path)))


def private_lines(path: Path) -> list[str]:
    """The lines that nobody else may know. The last and shorter one of a private key is part of its public half."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("-----")]
    return [line for line in lines if len(line) == max(map(len, lines))]


def attempt(command: list[str], inventory: str, seconds: float | None = None) -> tuple[int | None, str]:
    """Run the playbook, for at most `seconds`; returns its exit code, None when it was killed, and its output."""
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = run.communicate(timeout=seconds)
        code: int | None = run.returncode
    except subprocess.TimeoutExpired:
        for process in [run.pid, *descendants(run.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        output, _ = run.communicate()
        code = None
    if names := leaked(output, inventory):
        sys.exit(f"A run printed secrets of {inventory}: {', '.join(names)}.")
    if code:
        sys.exit(output[-5000:])
    return code, output


def main() -> None:
    inventory, playbook, count = sys.argv[1:]
    seed = int(os.environ.get("SLIPWAY_SEED", random.SystemRandom().randrange(10**6)))
    moments = random.Random(seed)  # noqa: S311 - moments need no secrecy
    print(f"seed {seed}", flush=True)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-vvv", "--diff", "-i", inventory, playbook]
    attempt([*command, "--check"], inventory)
    print("check mode on bare hosts: passed", flush=True)
    for place in range(int(count)):
        seconds = moments.uniform(4, STEP_SECONDS * (place + 1))
        code, output = attempt(command, inventory, seconds)
        task = [line.strip("* ") for line in output.splitlines() if line.startswith("TASK")][-1:]
        how = "finished" if code == 0 else f"killed in {' '.join(task) or 'its first second'}"
        print(f"{place + 1}: {how} after {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
