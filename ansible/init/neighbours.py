"""The other inventories, with which a new one shares a domain, a host or Redis."""

from __future__ import annotations

import re
from pathlib import Path


def text_of_all(inventories: Path) -> str:
    """What the inventories set."""
    files = sorted(inventories.glob("*/group_vars/all/*.yml"))
    return "\n".join(path.read_text(errors="replace") for path in files)


def has_domain(inventories: Path, domain: str) -> bool:
    line = re.compile(rf"^project_domain: [\"']?{re.escape(domain)}[\"']?$", re.MULTILINE)
    return bool(line.search(text_of_all(inventories)))


def namesake(inventories: Path, name: str, host: str) -> Path | None:
    """The folder of an inventory that has a project of this name on this host, or None."""
    named = re.compile(rf"^project_name: [\"']?{re.escape(name)}[\"']?$", re.MULTILINE)
    hosts = re.compile(rf"^ +[\"']?{re.escape(host)}[\"']?:", re.MULTILINE)
    for path in sorted(inventories.glob("*/hosts.yml")):
        project = path.parent / "group_vars/all/project.yml"
        if project.is_file() and named.search(project.read_text()) and hosts.search(path.read_text()):
            return path.parent
    return None


def free_redis(inventories: Path) -> str:
    """A database of the host's own Redis that no other inventory uses."""
    taken = [int(number) for number in re.findall(r"redis://127\.0\.0\.1:6379/(\d+)", text_of_all(inventories))]
    return f"redis://127.0.0.1:6379/{max(taken, default=-1) + 1}"
