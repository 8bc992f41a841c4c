#!/usr/bin/env python3
"""Tell of known vulnerabilities in what the lock files pin, and of secrets in the whole history: one line for each.

    audit.py

What no service answered for is told too, and is no pass. Needs npm on the PATH.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
SETTINGS = Path(__file__).resolve().parents[1] / ".config/kingfisher.yaml"
# The version that ends a range as npm writes it.
FIXED = re.compile(r"<(\d\S*)$")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def locks(root: Path) -> list[Path]:
    """The lock files of a checkout, without links to others."""
    listing = run("git", "ls-files", "-z", "*.txt", "*package-lock.json", cwd=root).stdout
    paths = [root / name for name in listing.split("\0") if name]
    return [
        path for path in paths if not path.is_symlink() and (path.suffix == ".json" or "--hash=" in path.read_text())
    ]


def finding(path: str, package: str, version: str, advisory: str, fixed: str) -> str:
    return f"{path}: {package} {version} has {advisory}, {f'fixed in {fixed}' if fixed else 'not fixed yet'}."


def audit_python(path: Path, name: str) -> Iterator[str]:
    command = ("pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json")
    done = run(BIN / command[0], *command[1:], f"--requirement={path}", cwd=path.parent)
    packages = read(done.stdout).get("dependencies", [])
    if not packages:
        yield f"{name}: the service of advisories does not answer, so that nothing is known: {last_line(done.stderr)}"
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown:
        some = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        yield f"{name}: the service of advisories does not know {len(unknown)} of {len(packages)} packages: {some}"
    for package in packages:
        for each in package.get("vulns", []):
            yield finding(name, package["name"], package["version"], each["id"], " or ".join(each["fix_versions"]))


def audit_npm(path: Path, name: str) -> Iterator[str]:
    done = run("npm", "audit", "--json", "--package-lock-only", cwd=path.parent)
    report = read(done.stdout)
    if "vulnerabilities" not in report:
        said = report.get("message") or (report.get("error") or {}).get("summary") or last_line(done.stderr)
        yield f"{name}: the service of advisories does not answer, so that nothing is known: {said}"
        return
    packages = read(path.read_text())["packages"]
    for vulnerable in report["vulnerabilities"].values():
        versions = " and ".join(sorted({packages[node]["version"] for node in vulnerable["nodes"]}))
        # A name leads to another package, which has lines of its own.
        for each in (via for via in vulnerable["via"] if isinstance(via, dict)):
            end = FIXED.search(each["range"])
            yield finding(name, each["name"], versions, each["url"].rpartition("/")[2], end[1] if end else "")


def audit_lock(root: Path, path: Path) -> list[str]:
    audit = audit_npm if path.suffix == ".json" else audit_python
    return list(audit(path, str(path.relative_to(root))))


def audit_history(root: Path) -> Iterator[str]:
    """Each secret that was ever committed, by the command that shows it."""
    if run("git", "rev-parse", "--is-shallow-repository", cwd=root).stdout.strip() != "false":
        yield "The history is not all here: run git fetch --unshallow first."
        return
    folder = run("git", "rev-parse", "--git-common-dir", cwd=root).stdout.strip()
    with tempfile.NamedTemporaryFile() as report:
        options = ("--quiet", "--no-update-check", f"--config={SETTINGS}", "--format=json", f"--output={report.name}")
        done = run(BIN / "kingfisher", "scan", *options, folder, cwd=root)
        findings = read(Path(report.name).read_text()).get("findings", [])
    if done.returncode and not findings:
        yield f"The history could not be read: {last_line(done.stderr)}"
    for each in findings:
        where = each["finding"]["git_metadata"]
        show = f"git show {where['commit']['id'][:12]}:{where['file']['path']}"
        yield f"{show}, line {each['finding']['line']}: a secret, {each['rule']['name']}: revoke it where it is valid."


def main() -> int:
    root = Path(run("git", "rev-parse", "--show-toplevel", cwd=Path.cwd()).stdout.strip())
    paths = locks(root)
    with ThreadPoolExecutor(4) as pool:
        found = [line for lines in pool.map(lambda path: audit_lock(root, path), paths) for line in lines]
    found += audit_history(root)
    print("\n".join(found) or f"{len(paths)} lock files and the whole history: nothing is known.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
