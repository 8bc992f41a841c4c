#!/usr/bin/env python3
"""Make a git checkout of each project in this folder, and an inventory of it with `make init`.

Everything lies in .cache/projects: the checkouts by name, and inventories/ for the host of inventory/ beside this file.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/projects"
GIT = ["git", "-c", "user.name=Slipway", "-c", "user.email=slipway@example.com"]
PROJECTS = {"stock": "stock.test", "shop": "shop.test", "chat": "chat.test"}
# What only the owner of a project knows.
OPTIONS = {"chat": ["--health=/"]}
# What builds the assets of one of them, as npm would.
BUILT = "application_build_commands: ['echo \".built { color: $PWD }\" > shop/static/css/built.css']"
# What operators add: here a second database with an extension, a cache, and less patience than the tests' time allows.
VALUES = "group_vars/all"
ADDED = [
    (PROJECTS, f"{VALUES}/application.yml", "release_grace_seconds: 2"),
    (PROJECTS, f"{VALUES}/application.yml", "release_watch_seconds: 2"),
    (["shop"], f"{VALUES}/application.yml", BUILT),
    (PROJECTS, f"{VALUES}/postgresql.yml", 'postgresql_databases: ["{{ project_name }}-reports"]'),
    (["chat"], f"{VALUES}/postgresql.yml", "postgresql_extensions: [earthdistance]"),
    (["shop"], f"{VALUES}/application.yml", "application_mail_url: smtp+tls://ada:secret@mail.example"),
    (["shop"], f"{VALUES}/application.yml", "application_files: {shop/secrets.json: '{\"key\": 1}'}"),
    (["shop"], "hosts.yml", "cache: {children: {single: }}"),
    (
        ["shop"],
        f"{VALUES}/application.yml",
        'application_cache_url: "{{ vault_cache_password | slipway.host.redis_url }}"',
    ),
    (["shop"], f"{VALUES}/application.yml", 'cache_password: "{{ vault_cache_password }}"'),
    (
        ["shop"],
        f"{VALUES}/vault.yml",
        "vault_cache_password: \"{{ lookup('slipway.host.secret', 'cache_password') }}\"",
    ),
]


def run(*command: str | Path, **options: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, check=True, capture_output=True, text=True, **options
    )
    return done.stdout


def commit(folder: Path, message: str) -> None:
    run(*GIT, "-C", folder, "add", "--all")
    run(*GIT, "-C", folder, "commit", "--quiet", "--message", message)


def main() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)
    hosts = Path(__file__).parent / "inventory"
    for name, domain in PROJECTS.items():
        checkout = CACHE / name
        shutil.copytree(Path(__file__).parent / name, checkout, ignore=shutil.ignore_patterns("__pycache__"))
        if name == "chat":
            # A lock names the registry that it was made with, which is each machine's own affair.
            lock = [str(Path(sys.executable).with_name("uv")), "lock", "--quiet", "--python=/usr/bin/python3"]
            run(*lock, cwd=checkout, env={**os.environ, "UV_SYSTEM_CERTS": "1"})
        run("git", "init", "--quiet", checkout)
        commit(checkout, "first")
        command = [sys.executable, "-m", "init", f"--name={name}", f"--domain={domain}"]
        command += [
            f"--source={checkout}",
            "--host=shared",
            f"--inventories={CACHE}/inventories",
            *OPTIONS.get(name, []),
        ]
        print(
            run(
                *command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": "ansible:ansible/collections"},
                stdin=subprocess.DEVNULL,
            )
        )
        for projects, file, line in ADDED:
            path = CACHE / "inventories" / name / file
            if name in projects and path.exists():
                path.write_text(f"{path.read_text()}{line}\n")
        shutil.copy(hosts / "machines.yml", CACHE / "inventories" / name)


if __name__ == "__main__":
    main()
