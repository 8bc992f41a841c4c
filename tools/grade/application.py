"""What is said of the application: Django's own checks, schemathesis, sqlmap, and our tests of dev-sec's facts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from support import ROOT, Administrator, Secret

from grade.row import Row
from grade.target import Target

TESTS = ROOT / "molecule/testinfra"
# The program, with the one name that DNS does not know. The header is no argument: those are everybody's to read.
SQLMAP = """
import os, socket, sys
from sqlmap.sqlmap import main
domain, address, *rest = sys.argv[1:]
sys.argv = ["sqlmap", *rest]
if authorization := os.environ.get("AUTHORIZATION"):
    sys.argv.append(f"--header=Authorization: {authorization}")
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda name, *rest, **more: resolve(address if name == domain else name, *rest, **more)
main()
"""
# Every way in that does not wait for the database. A logout would end the session, and logins are limited.
BOUNDS = ("--batch", "--disable-coloring", "--dbms=postgresql", "--technique=BEUSQ", "--scope=^(?!.*/auth/log)")
REFUSALS = "--ignore-code=400,401,403,404,405,415,429"


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
    if target.is_example:
        seen, holds = tested(target, "test_schema.py")
        yield Row(
            "schemathesis", version("schemathesis"), target.site.origin, "all checks, logged in and not", seen, holds
        )


def baseline(target: Target) -> Iterator[Row]:
    seen, holds = tested(target, "test_baseline.py")
    yield Row("dev-sec baselines", "ours", target.name, "each passes, or is waived (xfailed)", seen, holds)


def sqlmap(target: Target) -> Iterator[Row]:
    if not target.is_example:
        return
    site = target.site
    environment = dict(os.environ)
    # The first administrator of `make up`; elsewhere a stranger asks.
    if (secret := Path(target.variables["inventory_dir"], ".secrets/admin_password")).exists():
        answer = site.login(Administrator("admin@example.com", Secret(secret.read_text().strip())))
        environment["AUTHORIZATION"] = f"Session {answer.json['session']}"
    with tempfile.TemporaryDirectory() as folder:
        places = (f"--openapi={ROOT / 'app/openapi.yaml'}", f"--openapi-base={site.origin}", f"--output-dir={folder}")
        command = [sys.executable, "-c", SQLMAP, site.domain, site.address, *BOUNDS, REFUSALS, *places]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seen, holds = judge_injection(done.stdout)
    wanted = "no parameter of the schema that takes SQL"
    yield Row("sqlmap", version("sqlmap"), site.origin, wanted, seen, holds)


def judge_injection(printed: str) -> tuple[str, bool]:
    tried = len(re.findall(r"testing for SQL injection on", printed))
    found = re.findall(r"^Parameter: (.+)$", printed, re.MULTILINE)
    return "; ".join([f"{len(found)} of {tried} parameters", *found]), tried > 0 and not found
