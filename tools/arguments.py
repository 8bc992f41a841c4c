#!/usr/bin/python3
"""Refuse what was typed after `make` unless the `##` lines of the Makefile name it; `make help` shows the same lines.

    arguments.py "TARGET ..." NAME=VALUE ...

A heading begins with `##@`, a target with `## name:`, what it takes with `##   NAME=example`. What is named before the
first target of a heading, all of its targets take. An example `yes` belongs to a switch: yes, or left out. It runs
before anything is installed, so that it needs nothing but Python.
"""

import difflib
import re
import sys
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"
SWITCH = "yes"


def read_targets(makefile: str) -> dict[str, dict[str, str]]:
    """What each target takes: names of variables, with an example of each."""
    targets: dict[str, dict[str, str]] = {}
    shared: dict[str, str] = {}
    current = shared
    for line in makefile.splitlines():
        if line.startswith("##@"):
            current = shared = {}
        elif heading := re.match(r"## ([a-z]+): ", line):
            current = targets[heading[1]] = dict(shared)
        elif line.startswith("##   "):
            current.update(re.findall(r"\b([A-Z]+)=(\S*)", re.split(r"\s{2,}", line[5:])[0]))
    return targets


def guess(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def find_problems(targets: dict[str, dict[str, str]], goals: list[str], typed: dict[str, str]) -> list[str]:
    """A sentence for each thing that was typed and means nothing."""
    if missing := [goal for goal in goals if goal not in targets]:
        return [f"There is no make {goal}.{guess(goal, [*targets])}" for goal in missing]
    problems = []
    takes = {name: example for goal in goals for name, example in targets[goal].items()}
    examples = ", ".join(f"{name}={example}" for name, example in takes.items()) or "no variable"
    command = f"make {' '.join(goals)}"
    for name, value in typed.items():
        if name not in takes:
            problems.append(f"{command} does not take {name}.{guess(name.upper(), [*takes])}")
        elif takes[name] == SWITCH and value not in ("", SWITCH):
            problems.append(f'{name} is "{value}": write {name}={SWITCH}, or leave it out.')
    return [*problems, f"{command} takes {examples}."] if problems else []


def main(goals: str, *typed: str) -> int:
    values = dict(word.split("=", 1) for word in typed)
    problems = find_problems(read_targets(MAKEFILE.read_text()), goals.split() or ["help"], values)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
