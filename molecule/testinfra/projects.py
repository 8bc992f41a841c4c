"""Three projects that are not ours, each with a checkout and an inventory: their sites, their releases, their units."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/projects"
GIT = ["git", "-c", "user.name=Slipway", "-c", "user.email=slipway@example.com"]
PROJECTS = ("stock", "shop", "chat")
# Each project's page, what is on it before and after a second release, and what makes the difference.
PAGES = {
    "stock": ("/admin/login/", "Django administration", "Second edition"),
    "shop": ("/", "first edition", "second edition"),
    "chat": ("/", "first edition", "second edition"),
}
CHANGES = {
    "stock": ("mysite/urls.py", "urlpatterns = [", "admin.site.site_header = 'Second edition'\nurlpatterns = ["),
    "shop": ("shop/notes/views.py", "first edition", "second edition"),
    "chat": ("src/chat/urls.py", "first edition", "second edition"),
}

MARKS = [pytest.mark.group("projects"), pytest.mark.units(*(f"{name}-*" for name in PROJECTS))]
every_project = pytest.mark.parametrize("name", PROJECTS)


def play(name: str, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", str(CACHE / "inventories" / name), f"ansible/{playbook}.yml", *options]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_FORCE_COLOR": "false"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a play said, on one line, since Ansible folds its lines."""
    return " ".join((done.stdout + done.stderr).split())


def commit(name: str, file: str, old: str, new: str) -> None:
    path = CACHE / name / file
    path.write_text(path.read_text().replace(old, new, 1))
    subprocess.run([*GIT, "-C", CACHE / name, "commit", "--quiet", "--all", "--message", file], check=True)


def pids(host: Host, name: str) -> dict[str, str]:
    """The main process of each unit of a project."""
    units = host.check_output(f"systemctl list-units --plain --no-legend '{name}-*@*.service'").splitlines()
    shown = "systemctl show --property=MainPID --value %s"
    return {unit.split()[0]: host.check_output(shown, unit.split()[0]) for unit in units}


def active(host: Host, pattern: str) -> list[str]:
    """The units that run, of those whose name is like this."""
    listed = host.check_output("systemctl list-units --plain --no-legend --state=active %s", pattern)
    return [line.split()[0] for line in listed.splitlines()]


def target(host: Host, link: str) -> str:
    """The name of what a link leads to."""
    return Path(host.check_output("readlink %s", link)).name


def provision_shop(**variables: Any) -> subprocess.CompletedProcess[str]:
    return play("shop", "site", "--tags", "application,release", "-e", json.dumps(variables))


def manage(host: Host, name: str, code: str) -> str:
    return str(host.check_output(f"{name}-manage shell --no-imports -c %s", code))
