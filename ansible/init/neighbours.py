"""The other inventories, with which a new one shares a domain, a host or a port of it."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

# The role's default.
CACHE_PORT = 6380


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


def free_cache_port(inventories: Path) -> int:
    """A port for Redis that no other inventory uses, whatever its hosts are."""
    taken = set()
    for folder in inventories.glob("*/group_vars"):
        text = "\n".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*.yml")))
        if port := re.search(r"^cache_port:\s*[\"']?(\d+)", text, re.MULTILINE):
            taken.add(int(port[1]))
        elif re.search(r"^cache_password:", text, re.MULTILINE):
            taken.add(CACHE_PORT)
    return next(port for port in count(CACHE_PORT) if port not in taken)
