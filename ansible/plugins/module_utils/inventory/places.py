"""Where a variable is set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def find(name: str, folder: Path, host: str, groups: Iterable[str]) -> str:
    """Where `name` is set for `host`, as file:line, the strongest place first.

    Ansible's own note of a value's origin is no help with true, false and null, which have none.
    """
    setting = re.compile(rf"(^|[\s{{,\"']){name}[\"']?\s*[:=]")
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in ("", ".ini", ".json", ".yaml", ".yml")]
    files = [path for path in files if path.is_file() and ".secrets" not in path.relative_to(folder).parts]
    scopes = [f"host_vars/{host}", *(f"group_vars/{group}" for group in groups), "group_vars/all", ""]
    for scope in scopes:
        for path in files:
            inner = path.relative_to(folder).as_posix()
            if re.match(rf"{re.escape(scope)}(\.|/|$)" if scope else r"(?!host_vars/|group_vars/)", inner):
                for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                    if setting.search(line) and not line.lstrip().startswith("#"):
                        return f"{brief(path)}:{number}"
    return "the command line"


def brief(path: Path) -> Path:
    """A path as one types it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
