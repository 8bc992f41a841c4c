#!/usr/bin/env python3
"""Put bare hosts through what may come before a run of the playbook succeeds.

    interrupted_runs.py INVENTORY PLAYBOOK

First a run in check mode, which must succeed and change nothing; then runs that are killed with SIGKILL, together with
everything that they started on this machine: one each in the tasks named below. What runs on the hosts lives on, as it
would after a broken connection. All of them talk as much as they can (`-vvv --diff`), and none may show a secret of
the inventory.

With SLIPWAY_SOAK they are killed at random moments instead. The seed is printed: set SLIPWAY_SEED to it to have the
same moments again.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.processes import descendants

# In the middle of a service's configuration, and while traffic moves.
TASKS = (
    "postgresql : configure | Render who may connect",
    "release : batch | Start it, ask it and give it the traffic",
)
RANDOM_COUNT = 4
# The first random moment is within this time, each later one may come that much later: all roles get their turn.
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


def start(command: list[str], inventory: str, is_over: Callable[[str], bool] = lambda line: False) -> str:
    """Run the playbook until it ends, or until a line of its output is where to kill it; returns the output."""
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    assert run.stdout
    lines = []
    killed = False
    for line in run.stdout:
        lines.append(line)
        if not killed and is_over(line):
            killed = True
            for process in [run.pid, *descendants(run.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
    output = "".join(lines)
    if names := leaked(output, inventory):
        sys.exit(f"A run printed secrets of {inventory}: {', '.join(names)}.")
    if run.wait() and not killed:
        sys.exit(output[-5000:])
    return output


def in_task(name: str) -> Callable[[str], bool]:
    """Whether an output has come to a task. Its first line of detail shows that it has begun on a host."""
    begun = False

    def is_over(line: str) -> bool:
        nonlocal begun
        if begun:
            return "EXEC" in line
        begun = line.startswith(f"TASK [{name}")
        return False

    return is_over


def after(seconds: float) -> Callable[[str], bool]:
    deadline = time.monotonic() + seconds
    return lambda line: time.monotonic() > deadline


def last_task(output: str) -> str:
    tasks = [line.strip("* \n") for line in output.splitlines() if line.startswith("TASK")]
    return tasks[-1] if tasks else "its first second"


def main() -> None:
    inventory, playbook = sys.argv[1:]
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-vvv", "--diff", "-i", inventory, playbook]
    start([*command, "--check"], inventory)
    print("check mode on bare hosts: passed", flush=True)
    if not os.environ.get("SLIPWAY_SOAK"):
        for task in TASKS:
            output = start(command, inventory, in_task(task))
            if task not in last_task(output):
                sys.exit(f"No run was killed in {task}: it came to {last_task(output)}.")
            print(f"killed in {last_task(output)}", flush=True)
        return
    seed = int(os.environ.get("SLIPWAY_SEED", random.SystemRandom().randrange(10**6)))
    moments = random.Random(seed)  # noqa: S311 - moments need no secrecy
    print(f"seed {seed}", flush=True)
    for count in range(1, RANDOM_COUNT + 1):
        seconds = moments.uniform(4, STEP_SECONDS * count)
        output = start(command, inventory, after(seconds))
        print(f"{count}: came to {last_task(output)} within {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
