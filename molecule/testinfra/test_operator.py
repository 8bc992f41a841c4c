"""Whatever shell an operator has: no apt, not root, and an environment that helps with nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import inventory
import pytest
import yaml
from releases import git, look
from support import ROOT
from testinfra.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.destructive,
    pytest.mark.slipway,
    pytest.mark.group("web"),
    pytest.mark.units("slipway-*"),
]
# All that it needs beside /usr/bin/python3.
PROGRAMS = "awk cat cmp df dirname getconf git grep make sed sftp sh ssh tr uname"
PERSON = "nobody"
NOWHERE = "/no/such/folder"
HOSTILE = {
    **dict.fromkeys(["ANSIBLE_CONFIG", "ANSIBLE_INVENTORY", "ANSIBLE_LIBRARY", "ANSIBLE_ROLES_PATH"], NOWHERE),
    **dict.fromkeys(["GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"], NOWHERE),
    **dict.fromkeys(["PYTHONHOME", "PYTHONPATH", "SSH_AUTH_SOCK", "TMPDIR", "VIRTUAL_ENV"], NOWHERE),
    "ANSIBLE_BECOME": "no",
    "ANSIBLE_REMOTE_USER": "nobody",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "CDPATH": "/",
    "ENV": "production",
    "LC_ALL": "POSIX",
    "MAKEFLAGS": "-k -j2 --no-print-directory",
    "PYTHONIOENCODING": "ascii",
    "PYTHONWARNINGS": "error",
    "REF": "no-such-branch",
}


@dataclass
class Operator:
    """A person with a clone of their own."""

    clone: Path
    home: Path
    limit: str

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/setpriv", f"--reuid={PERSON}", "--regid=nogroup", "--clear-groups", "make", *words],
            cwd=self.clone,
            env={**HOSTILE, "HOME": str(self.home), "PATH": str(self.home / "bin")},
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def copy_inventory(folder: Path, target: Path, host: str) -> None:
    """Copy an inventory with its keys, for one of its hosts; what it names by its place is where it was.

    Other tests may close the other hosts to everybody meanwhile.
    """
    shutil.copytree(folder, target)
    groups = yaml.safe_load((target / "hosts.yml").read_text())
    for group in groups.values():
        if "hosts" in group:
            group["hosts"] = {name: values for name, values in group["hosts"].items() if name == host}
    (target / "hosts.yml").write_text(yaml.safe_dump(groups))
    for path in target.rglob("*.yml"):
        text = path.read_text().replace(str(folder), str(target))
        path.write_text(re.sub(r"{{ inventory_dir }}/(\.\./)+", f"{ROOT}/", text))


@pytest.fixture(scope="module")
def operator(host: Host) -> Iterator[Operator]:
    """A clone with a commit of its own, and the tools that are installed here already."""
    # Its path is short, since it has the sockets of connections.
    home = Path(tempfile.mkdtemp())
    clone = Path(tempfile.mkdtemp(dir=ROOT / ".cache"))
    try:
        git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
        git(clone, "commit", "--quiet", "--allow-empty", "-m", "Theirs")
        copy_inventory(Path(inventory.variables(host)["inventory_dir"]), clone / "inventories/away", host.backend.host)
        (clone / ".cache").mkdir()
        (clone / ".cache/uv").symlink_to(ROOT / ".cache/uv")
        (clone / ".venv").symlink_to(ROOT / ".venv")
        (home / "bin").mkdir()
        for name in PROGRAMS.split():
            (home / "bin" / name).symlink_to(shutil.which(name) or name)
        subprocess.run(["chown", "--recursive", f"{PERSON}:nogroup", clone, home], check=True)
        yield Operator(clone, home, f"LIMIT={host.backend.host}")
    finally:
        shutil.rmtree(clone)
        shutil.rmtree(home)


@pytest.fixture
def closed(host: Host) -> Iterator[None]:
    """A host whose sudo opens what root makes to nobody."""
    host.check_output("echo 'Defaults umask=0077, umask_override' > /etc/sudoers.d/zz-closed")
    yield
    host.check_output("rm /etc/sudoers.d/zz-closed")


def test_a_deploy_works_from_any_shell(host: Host, operator: Operator, closed: None) -> None:
    done = operator.make("deploy", "ENV=away", operator.limit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert look(host)["release"] == git(operator.clone, "rev-parse", "HEAD")[:12]
    closed_to_nginx = "find -L /srv/slipway/static /srv/slipway/current/release/ ! -path '*/.venv*' ! -readable"
    # The home of who logs in is closed to it.
    assert host.check_output(f"cd / && runuser -u www-data -- {closed_to_nginx}") == ""


def test_a_plan_works_from_any_shell(operator: Operator) -> None:
    done = operator.make("plan", "ENV=away", operator.limit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r": \d+ ok, \d+ changed, 0 failed", done.stdout)


def test_a_status_works_from_any_shell(host: Host, operator: Operator) -> None:
    done = operator.make("status", "ENV=away", "JSON=yes")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)["hosts"][host.backend.host]
    assert (told["release"], told["health"]["ok"]) == (look(host)["release"], True)
    assert os.stat(operator.clone / ".cache").st_uid != 0


def test_a_port_that_another_program_has_is_refused_before_anything_changes(host: Host, operator: Operator) -> None:
    unit = "slipway-test-listener"
    host.check_output(f"systemd-run --quiet --collect --unit={unit} /usr/bin/python3 -m http.server 8081")
    port = operator.clone / "inventories/away/group_vars/all/port.yml"
    port.write_text("project_http_port: 8081\n")
    try:
        done = operator.make("provision", "ENV=away", "TAGS=nginx_configure", operator.limit)
    finally:
        host.check_output(f"systemctl stop {unit}")
        port.unlink()
    assert done.returncode != 0
    assert f"Port 8081 of {host.backend.host} is in use by python3 (process " in " ".join(done.stdout.split())
    assert ", 0 changed," in done.stdout
