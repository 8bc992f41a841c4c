#!/usr/bin/env python3
"""Make a git checkout of each project in this folder, and an inventory of it with `make init`.

Everything lies in .cache/projects: the checkouts by name, inventories/ for the host of inventory/ beside this file, and
mirror/ with the Python of one project, which is this one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import python_mirror

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/projects"
GIT = ["git", "-c", "user.name=Slipway", "-c", "user.email=slipway@example.com"]
PROJECTS = {"stock": "stock.test", "shop": "shop.test", "chat": "chat.test"}
# What only the owner of a project knows.
OPTIONS = {"chat": ["--health=/"]}


def run(*command: str | Path, **options: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, check=True, capture_output=True, text=True, **options
    )
    return done.stdout


def commit(folder: Path, message: str) -> None:
    run(*GIT, "-C", folder, "add", "--all")
    run(*GIT, "-C", folder, "commit", "--quiet", "--message", message)


def lock(checkout: Path) -> None:
    """Lock here, since a lock names the registry that it was made with, which is each machine's own affair."""
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace("==3.11.*", f"=={python_mirror.MINOR}.*"))
    command = [str(Path(sys.executable).with_name("uv")), "lock", "--quiet", f"--python={sys.executable}"]
    run(*command, cwd=checkout, env={**os.environ, "UV_SYSTEM_CERTS": "1"})


def describe(name: str, domain: str) -> str:
    """Let init write the inventory, and add what an operator adds."""
    command = [sys.executable, "-m", "init", f"--name={name}", f"--domain={domain}", f"--source={CACHE / name}"]
    command += ["--host=shared", f"--inventories={CACHE}/inventories", *OPTIONS.get(name, [])]
    paths = {"PYTHONPATH": "ansible:ansible/collections"}
    said = run(*command, cwd=ROOT, env={**os.environ, **paths}, stdin=subprocess.DEVNULL)
    target = CACHE / "inventories" / name
    shutil.copy(HERE / f"operators/{name}.yml", target / "group_vars/all/operator.yml")
    shutil.copy(HERE / "inventory/machines.yml", target)
    return said


def main() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)
    python_mirror.make(CACHE / "mirror")
    for name, domain in PROJECTS.items():
        checkout = CACHE / name
        shutil.copytree(HERE / name, checkout, ignore=shutil.ignore_patterns("__pycache__"))
        if (checkout / "pyproject.toml").exists():
            lock(checkout)
        run("git", "init", "--quiet", checkout)
        commit(checkout, "first")
        print(describe(name, domain))


if __name__ == "__main__":
    main()
