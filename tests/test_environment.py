"""What the shell exports decides nothing about what `make` runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

HOSTILE = {
    "ANSIBLE_CONFIG": "/dev/null",
    "ANSIBLE_ROLES_PATH": "/no/such/folder",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "ANSIBLE_LIBRARY": "/no/such/folder",
    "CDPATH": "/",
    "GIT_COMMON_DIR": "/no/such/folder",
    "GIT_DIR": "/no/such/folder",
    "GIT_OBJECT_DIRECTORY": "/no/such/folder",
    "LC_ALL": "POSIX",
    "PIP_TARGET": "/no/such/folder",
    "PYTHONHOME": "/no/such/folder",
    "PYTHONIOENCODING": "ascii",
    "PYTHONPATH": "/no/such/folder",
    "PYTHONWARNINGS": "error",
    "REF": "a-branch-of-somebody-else",
    "YES": "yes",
}
# What no Debian has, and what only Debian has, must not be needed to change other machines.
PROGRAMS = ("git", "ssh", "make", "sh", "awk", "cmp", "df", "getconf", "grep", "sed", "tr", "uname", "cat", "dirname")


# What more breaks a run, and flags that are harmless.
MORE = {
    "ANSIBLE_INVENTORY_ENABLED": "ini",
    "MAKEFLAGS": "-k -j2",
    "SSH_AUTH_SOCK": "/no/such/socket",
    "TMPDIR": "/no/such/folder",
}
GROUPS = ("web", "worker", "beat", "database", "broker")


# What says that these are installed.
INSTALLED = {
    "tests/requirements.txt": ".venv/.requirements",
    "ansible/collections.txt": ".venv/.collections",
    "roles/release/files/tools.txt": ".cache/uv/.requirements",
}


def printed(folder: Path, *words: str, **environment: str) -> str:
    """What the recipe prints whose program is `env`."""
    makefile = (ROOT / "Makefile").read_text()
    shown = re.sub(r"(?m)^help:\n(\t.*\n)+", 'help:\n\t@env; echo "REF is $(REF), YES is $(YES)"\n', makefile)
    (folder / "Makefile").write_text(shown)
    shutil.copytree(ROOT / "tools", folder / "tools", dirs_exist_ok=True)
    (folder / "roles").symlink_to(ROOT / "roles")
    command = ["make", "--no-print-directory", "help", *words]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_what_the_shell_exports_reaches_nothing(tmp_path: Path) -> None:
    lines = printed(tmp_path, **HOSTILE).splitlines()
    assert not {f"{name}={value}" for name, value in HOSTILE.items()} & set(lines)
    assert f"ANSIBLE_CONFIG={tmp_path}/ansible.cfg" in lines
    assert "REF is , YES is " in lines


def dry_run(**environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", "status", "ENV=production"]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_what_is_typed_is_judged_whatever_the_shell_exports() -> None:
    done = dry_run(**HOSTILE, MAKEFLAGS="-j2 --no-print-directory -- REF=x")
    assert "make status does not take REF." in done.stderr
    done = dry_run(**HOSTILE, MAKEFLAGS="-rk -j2 --output-sync=line --keep-going")
    assert (done.returncode, done.stderr) == (0, "")
    assert " -i inventories/production ansible/status.yml" in done.stdout


@pytest.mark.parametrize("flags", ["e", "-ki", "--environment-overrides", "--ignore-errors -j2"])
def test_a_flag_of_make_that_takes_guards_away_is_refused(flags: str) -> None:
    """With -e each variable of the shell was one of ours, and with -i a "no" was followed by the change."""
    assert re.search(
        r"The flag -[ei] of make, typed or in MAKEFLAGS, takes guards away: leave it out\.",
        dry_run(MAKEFLAGS=flags).stderr,
    )


@pytest.mark.parametrize("name", ["ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_PRIVATE_KEY_FILE", "SSH_AUTH_SOCK"])
def test_what_only_the_operator_knows_is_handed_over(tmp_path: Path, name: str) -> None:
    assert f"{name}=/home/ada/file" in printed(tmp_path, **{name: "/home/ada/file"}).splitlines()


@pytest.fixture
def clone() -> Iterator[Path]:
    """A clone of its own for somebody who is not root, with the tools that are installed here already."""
    folder = Path(tempfile.mkdtemp())
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "--quiet", ROOT, folder / "clone"], check=True)
    # What guards is taken as it lies here, committed or not.
    shutil.copy(ROOT / "Makefile", folder / "clone")
    shutil.copytree(ROOT / "tools", folder / "clone/tools", dirs_exist_ok=True)
    for path in (".venv", ".cache/uv"):
        (folder / "clone" / path).parent.mkdir(exist_ok=True)
        (folder / "clone" / path).symlink_to(ROOT / path)
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        (folder / "bin" / name).symlink_to(shutil.which(name) or name)
    inventory = folder / "clone/inventories/away"
    shutil.copytree(ROOT / "inventories/staging", inventory)
    hosts = "".join(f"{group}: {{hosts: {{web1: {{ansible_host: 127.0.0.1, ansible_port: 1}}}}}}\n" for group in GROUPS)
    (inventory / "hosts.yml").write_text(hosts)
    if nobody():
        subprocess.run(["chown", "--recursive", "nobody:nogroup", folder], check=True)
    yield folder / "clone"
    shutil.rmtree(folder)


def nobody() -> list[str]:
    """The words that run a command as somebody who is not root, where that is to be done and can."""
    words = [shutil.which("setpriv") or "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    # The tools may lie in a folder that root alone may enter.
    able = (
        os.geteuid() == 0 and not subprocess.run([*words, ROOT / ".venv/bin/python", "-c", ""], check=False).returncode
    )
    return words if able else []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("deploy", r"\[ \d:\d\d\] Deploy.*Host web1 cannot be reached: .*Connection refused"),
        ("plan", r"\[ \d:\d\d\] Preflight.*Host web1 cannot be reached: .*Connection refused"),
        ("status JSON=yes", '^{.*"unreachable": {.*"web1": ".*Connection refused'),
    ],
    ids=["deploy", "plan", "status"],
)
def test_from_any_shell_a_command_comes_as_far_as_the_host(clone: Path, words: str, said: str) -> None:
    """No apt, not root, files that nobody else may read, and nothing that is exported helps."""
    done = subprocess.run(
        [*nobody(), "make", *words.split(), "ENV=away"],
        cwd=clone,
        env={**HOSTILE, **MORE, "HOME": str(clone.parent), "PATH": str(clone.parent / "bin")},
        umask=0o077,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(said, done.stdout, re.DOTALL), done.stdout + done.stderr


def install(folder: Path, what: str) -> subprocess.CompletedProcess[str]:
    """Ask tools/install.sh for `what` on a machine without apt, as somebody who is not root."""
    programs = folder / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program, name
        (programs / name).symlink_to(program)
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "id").chmod(0o755)
    for name in ("tools", "tests", "ansible", "roles"):
        (folder / name).symlink_to(ROOT / name)
    for name, target in INSTALLED.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / target)
    script = (ROOT / "tools/install.sh").read_text().replace('cd "$(dirname "$0")/.."', f"cd {folder}")
    return subprocess.run(
        ["/bin/sh", "-c", script, "install.sh", *what.split()],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("what", ["", "pytest"])
def test_changing_other_machines_needs_neither_debian_nor_root(tmp_path: Path, what: str) -> None:
    done = install(tmp_path, what)
    assert (done.returncode, done.stderr) == (0, "")


def test_starting_hosts_here_needs_debian(tmp_path: Path) -> None:
    assert "This is not Debian or Ubuntu" in install(tmp_path, "hosts").stderr
