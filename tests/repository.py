"""What the contracts read: the repository's files, its roles and their tasks."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ROLES = sorted(path.name for path in ROOT.glob("roles/*") if path.is_dir())
# Environments to copy, and the hosts of scenarios.
INVENTORIES = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("inventories/*/"), *ROOT.glob("molecule/*/inventory")]
)


class Loader(yaml.SafeLoader):
    """YAML as Ansible writes it: a tag such as !vault is read as the text behind it."""


Loader.add_multi_constructor("!", lambda loader, tag, node: getattr(node, "value", None))


def load(path: Path) -> Any:
    """The content of a YAML file; an encrypted or a missing one counts as empty."""
    text = path.read_text() if path.exists() else ""
    return {} if text.startswith("$ANSIBLE_VAULT") else yaml.load(text, Loader) or {}  # noqa: S506 - derived from SafeLoader


def tracked() -> list[Path]:
    """Every text file that is, or is about to be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def ids(paths: Iterable[Path]) -> list[pytest.ParameterSet]:
    """Files for a test to be run with, each by its path."""
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def options(role: str) -> dict[str, Any]:
    """The options that a role accepts, by name."""
    found: dict[str, Any] = load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]
    return found.get("options") or {}


def defaults(role: str) -> dict[str, Any]:
    return dict(load(ROOT / "roles" / role / "defaults/main.yml"))


def task_files(role: str) -> list[Path]:
    return sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))


def tasks(entries: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each task below `entries`, with whether a block around it already hides its output."""

    def walk(entries: list[dict[str, Any]], hidden: bool) -> Iterator[tuple[dict[str, Any], bool]]:
        for task in entries:
            inner = hidden or bool(task.get("no_log"))
            yield task, inner
            for part in ("block", "rescue", "always"):
                yield from walk(task.get(part, []), inner)

    return walk(entries or [], False)


def all_options(entries: dict[str, Any], trail: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every option at any depth, as (dotted name, option)."""
    for name, option in entries.items():
        yield f"{trail}{name}", option
        yield from all_options(option.get("options") or {}, f"{trail}{name}.")


def expressions(text: str) -> str:
    """What is between Jinja's braces."""
    return " ".join(re.findall(r"{[{%].*?[%}]}", text, re.DOTALL))
