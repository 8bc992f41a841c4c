"""What the contracts read: the repository's files, its roles and their tasks."""

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
ROLES = sorted(path.name for path in ROOT.glob("roles/*") if path.is_dir())
INVENTORIES = sorted(path.name for path in ROOT.glob("inventories/*") if path.is_dir())


class Loader(yaml.SafeLoader):
    """YAML as Ansible writes it: a tag such as !vault is read as the text behind it."""


Loader.add_multi_constructor("!", lambda loader, tag, node: getattr(node, "value", None))


def load(path):
    """The content of a YAML file; an encrypted or a missing one counts as empty."""
    text = path.read_text() if path.exists() else ""
    return {} if text.startswith("$ANSIBLE_VAULT") else yaml.load(text, Loader) or {}  # noqa: S506 - derived from SafeLoader


def tracked():
    """Every text file that is, or is about to be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def options(role):
    """The options that a role accepts, by name."""
    return load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options") or {}


def defaults(role):
    return load(ROOT / "roles" / role / "defaults/main.yml")


def task_files(role):
    return sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))


def tasks(entries):
    """Each task below `entries`, with whether a block around it already hides its output."""

    def walk(entries, hidden):
        for task in entries:
            inner = hidden or bool(task.get("no_log"))
            yield task, inner
            for part in ("block", "rescue", "always"):
                yield from walk(task.get(part, []), inner)

    return walk(entries or [], False)


def all_options(entries, trail=""):
    """Every option at any depth, as (dotted name, option)."""
    for name, option in entries.items():
        yield f"{trail}{name}", option
        yield from all_options(option.get("options") or {}, f"{trail}{name}.")


def expressions(text):
    """What is between Jinja's braces."""
    return " ".join(re.findall(r"{[{%].*?[%}]}", text, re.DOTALL))
