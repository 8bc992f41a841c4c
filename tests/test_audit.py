"""`make audit` tells of each vulnerability and of each secret, and never passes for want of an answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT

SCAN = ("scan", "--quiet", "--no-update-check", "--git-history=none", f"--config={ROOT}/.config/kingfisher.yaml")
PYTHON = {"name": "django", "version": "5.2.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.2.2", "6.0"]}]}
NPM = {
    "vulnerabilities": {
        "axios": {
            "via": [{"name": "axios", "url": "https://github.com/advisories/GHSA-1", "range": ">=1.0.0 <1.2.3"}],
            "nodes": ["node_modules/axios"],
        },
        "client": {"via": ["axios"], "nodes": ["node_modules/client"]},
    }
}
LOCK = {"packages": {"node_modules/axios": {"version": "1.1.0"}, "node_modules/client": {"version": "2.0.0"}}}


def write_program(path: Path, output: Any, error: str = "") -> None:
    """A program that answers with an output, as if from the network."""
    path.with_suffix(".json").write_text(output if isinstance(output, str) else json.dumps(output))
    path.write_text(f"#!/bin/sh\ncat {path.with_suffix('.json')}\necho '{error}' >&2\nexit 1\n")
    path.chmod(0o755)


class Checkout:
    """A repository with a list and a package-lock.json, and the programs that ask about them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder / "checkout", folder / "bin"
        self.bin.mkdir()
        (self.bin / "python").symlink_to(sys.executable)
        (self.bin / "kingfisher").symlink_to(Path(sys.executable).with_name("kingfisher"))
        write_program(self.bin / "pip-audit", {"dependencies": [{"name": "django", "version": "5.2.1", "vulns": []}]})
        write_program(self.bin / "npm", {"vulnerabilities": {}})
        self.folder.mkdir()
        (self.folder / "list.txt").write_text("django==5.2.1 --hash=sha256:00\n")
        (self.folder / "notes.txt").write_text("No list.\n")
        (self.folder / "package-lock.json").write_text(json.dumps(LOCK))
        self.git("init", "--quiet")
        self.commit()

    def git(self, *words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *words], cwd=self.folder, check=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=a")

    def audit(self) -> tuple[int, list[str]]:
        path = f"{self.bin}:{os.environ['PATH']}"
        done = subprocess.run(
            [self.bin / "python", ROOT / "tools/audit.py"],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_nothing_known_is_a_pass(checkout: Checkout) -> None:
    assert checkout.audit() == (0, ["2 lock files and the whole history: nothing is known."])


def test_a_vulnerability_is_one_line(checkout: Checkout) -> None:
    write_program(checkout.bin / "pip-audit", {"dependencies": [PYTHON]})
    write_program(checkout.bin / "npm", NPM)
    assert checkout.audit() == (
        1,
        [
            "list.txt: django 5.2.1 has PYSEC-1, fixed in 5.2.2 or 6.0.",
            "package-lock.json: axios 1.1.0 has GHSA-1, fixed in 1.2.3.",
        ],
    )


SILENT = "the service of advisories does not answer, so that nothing is known"
UNKNOWN = {"dependencies": [{"name": "django", "skip_reason": "not found"}]}


@pytest.mark.parametrize(
    ("program", "output", "error", "said"),
    [
        ("pip-audit", "", "Connection refused", f"list.txt: {SILENT}: Connection refused"),
        ("pip-audit", UNKNOWN, "", "list.txt: the service of advisories does not know 1 of 1 packages: django"),
        ("npm", {"message": "405 Method Not Allowed"}, "", f"package-lock.json: {SILENT}: 405 Method Not Allowed"),
        ("npm", "", "getaddrinfo EAI_AGAIN", f"package-lock.json: {SILENT}: getaddrinfo EAI_AGAIN"),
    ],
)
def test_no_answer_is_no_pass(checkout: Checkout, program: str, output: Any, error: str, said: str) -> None:
    write_program(checkout.bin / program, output, error)
    assert checkout.audit() == (1, [said])


def test_a_secret_that_was_ever_committed_is_found(checkout: Checkout) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", checkout.folder / "key"], check=True)
    checkout.commit()
    (checkout.folder / "key").unlink()
    checkout.commit()
    code, lines = checkout.audit()
    assert code == 1
    assert len(lines) == 1
    assert lines[0].endswith(":key, line 1: a secret, private-key: revoke it where it is valid.")
    assert subprocess.run(lines[0].partition(",")[0].split(), cwd=checkout.folder, check=True, capture_output=True)


def test_a_part_of_the_history_is_no_pass(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.folder / "more").touch()
    checkout.commit()
    shutil.move(checkout.folder, tmp_path / "whole")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{tmp_path}/whole", checkout.folder], check=True)
    assert checkout.audit() == (1, ["The history is not all here: run git fetch --unshallow first."])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BROKER = 'amqp://guest:guest@127.0.0.1:9//'\n", False),
        ("BROKER = 'amqp://guest:guest@10.0.0.5:9//'\n", True),
        ("BROKER = 'amqp://shop:f7Kq2pXw9LmZ@127.0.0.1:9//'\n", True),
    ],
)
def test_only_what_is_allowed_passes_the_scanner(tmp_path: Path, text: str, found: bool) -> None:
    (tmp_path / "settings.py").write_text(text)
    kingfisher = Path(sys.executable).with_name("kingfisher")
    done = subprocess.run([kingfisher, *SCAN, tmp_path / "settings.py"], capture_output=True, text=True, check=False)
    assert done.returncode == (200 if found else 0), done.stdout + done.stderr
