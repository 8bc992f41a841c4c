"""What is said of the application: Django's own checks, schemathesis, and our tests of dev-sec's facts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from grade.row import Row
from grade.target import Target

TESTS = Path(__file__).parents[2] / "molecule/testinfra"


def django(target: Target) -> Iterator[Row]:
    name = target.variables["project_name"]
    manage = f"/usr/local/bin/{name}-manage"
    done = target.host.run(f"{manage} check --deploy --fail-level INFO")
    lines = (done.stdout + done.stderr).strip().splitlines()
    release = target.run(f"{manage} version").strip()
    yield Row("check --deploy", release, f"{target.name}: {name}", "nothing at INFO", lines[-1], done.rc == 0)


def tested(target: Target, module: str) -> tuple[str, bool]:
    """What pytest says in its last line of a module of the tests of hosts."""
    command = [sys.executable, "-m", "pytest", "--quiet", str(TESTS / module), f"--hosts={target.name}"]
    command += [f"--ansible-inventory={target.inventory}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    failed = re.findall(r"^FAILED \S+::(\S+)", done.stdout, re.M)
    last = re.sub(r" in [\d.]+s.*", "", done.stdout.strip().splitlines()[-1])
    return "; ".join([last, *failed]), done.returncode == 0


def schemathesis(target: Target) -> Iterator[Row]:
    seen, holds = tested(target, "test_schema.py")
    yield Row("schemathesis", version("schemathesis"), target.site.origin, "all checks, logged in and not", seen, holds)


def baseline(target: Target) -> Iterator[Row]:
    seen, holds = tested(target, "test_baseline.py")
    yield Row("dev-sec baselines", "ours", target.name, "each passes, or is waived (xfailed)", seen, holds)
