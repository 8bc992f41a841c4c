"""What a Procfile and an app.json say of processes, and what of that a host does in another way."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.code import file_of, text_of
from init.source import Source

# What a shell makes more than one command of, and what is there on Heroku alone.
MORE = re.compile(r"&&|\|\||[;|<>`&]|\$\(|\$\{?PORT")
# What developers start beside their project.
AIDS = re.compile(
    r"^(docker|elasticsearch|mailhog|mailpit|mongod|node|npm|npx|pnpm|postgres|redis-server|yarn)\b|\brunserver\b"
)
# What each release does here anyway.
USUAL = re.compile(r"\bmanage\.py\s+(migrate|collectstatic|check)\b[^&|;]*$|\bDISABLE_COLLECTSTATIC\b")
# Options of Celery whose place is taken: with a value, and without.
TAKEN = {"-A", "--app", "-b", "--broker", "-f", "--logfile", "-l", "--loglevel", "-n", "--hostname", "--pidfile"}
TAKEN |= {"-s", "--schedule", "-S", "--scheduler", "--workdir"}
BARE = {"-B", "--beat", "-D", "--detach"}


@dataclass(frozen=True)
class Procfile:
    """The commands by the name of their process, how many of each run, what runs at each release, and what is told
    about the rest."""

    commands: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    release: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def why_not(self, name: str) -> str | None:
        """Why a process of the project does not run on a host, or None."""
        if AIDS.search(self.commands[name]):
            return "is for a development machine"
        if MORE.search(self.commands[name]):
            return "is no single command"
        return "has the quantity 0 in app.json" if self.counts.get(name) == 0 else None

    def of(self, *words: str) -> dict[str, str]:
        """The commands that have all of these words."""
        return {name: text for name, text in self.commands.items() if set(words) <= set(text.split())}


def read_procfile(source: Source) -> Procfile:
    lines = [re.match(r"([\w-]+)\s*:\s*(\S.*)", line) for line in read(source, "Procfile").splitlines()]
    commands = {line[1]: plain(line[2].strip(), source.inner) for line in lines if line}
    app = manifest(source)
    formation = app.get("formation") or {}
    sizes = {name: each.get("quantity") for name, each in formation.items() if isinstance(each, dict)}
    counts = {name: size for name, size in sizes.items() if isinstance(size, int)}
    release = steps(plain(commands.pop("release", ""), source.inner))
    once = steps(plain((app.get("scripts") or {}).get("postdeploy", ""), source.inner))
    said = ", ".join(f"`{step}`" for step in once)
    note = f"app.json runs {said} once: type it on the host after the first deploy, as NAME-manage COMMAND."
    return Procfile(commands, counts, release, [note] if once else [])


def read(source: Source, name: str) -> str:
    path = next((folder / name for folder in (source.folder, source.root) if (folder / name).is_file()), None)
    return text_of(path) if path else ""


def manifest(source: Source) -> dict[str, Any]:
    try:
        found = json.loads(read(source, "app.json") or "{}")
    except ValueError as error:
        raise UserError(f"The project's app.json is no JSON: {error}. Correct it.") from error
    return found if isinstance(found, dict) else {}


def steps(text: str) -> list[str]:
    """What a project does at each release, or once, beside what all releases do."""
    return [step.strip() for step in re.split(r"&&|;", text) if step.strip() and not USUAL.search(step)]


def plain(command: str, inner: str) -> str:
    """A command as it is in the project's folder, where processes start."""
    if inner:
        command = re.sub(rf"^cd\s+(\./)?{re.escape(inner)}/?\s*&&\s*", "", command)
        command = re.sub(rf"\s--(chdir|pythonpath|workdir)[ =](\./)?{re.escape(inner)}/?(?=\s|$)", "", command)
        command = re.sub(rf"(?<=\s)(\./)?{re.escape(inner)}/(?=manage\.py\b)", "", command)
    command = re.sub(r"^exec\s+", "", command)
    return f"env {command}" if re.match(r"[A-Za-z_]\w*=", command) else command


def find(command: str, folder: Path) -> str | None:
    """The application that a web server's command names, or None."""
    for word in words(command)[1:]:
        name, _, attribute = word.partition(":")
        if re.fullmatch(r"[A-Za-z_][\w.]*", name) and "." in name and file_of(name, folder):
            return f"{name}:{attribute or 'application'}"
    return None


def celery_app(procfile: Procfile, folder: Path) -> str | None:
    """The module of Celery's app that a worker names, or None."""
    for command in procfile.of("celery").values():
        found = re.search(r"(?:-A|--app)[ =]*([\w.]+)", command)
        if found and file_of(found[1], folder):
            return found[1]
    return None


def options(command: str) -> list[str]:
    """The options of a Celery worker that stay, such as its queues."""
    given = words(command)
    given = given[given.index("worker") + 1 :]
    kept: list[str] = []
    while given:
        word = given.pop(0)
        name = word.partition("=")[0]
        if word in BARE:
            continue
        if name in TAKEN:
            # Its value comes behind it.
            del given[: 0 if "=" in word else 1]
        elif name.startswith("--") or name[:2] not in TAKEN | BARE:
            kept.append(shlex.quote(word) if re.search(r"\s", word) else word)
    return kept


def option(command: str, *names: str) -> str | None:
    """The value of an option, or None."""
    found = re.search(rf"(?:^|\s)(?:{'|'.join(map(re.escape, names))})[ =]*(\S+)", command)
    return found[1] if found else None


def words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"The Procfile's `{command}` is no command of a shell: {error}. Correct it.") from error


def label(name: str, taken: Collection[str]) -> str:
    """A name that a unit can have."""
    short = re.sub(r"^[^a-z]+|[^a-z0-9]", "", name.lower())[:14] or "worker"
    return next(each for each in (short, *(f"{short}{number}" for number in range(2, 99))) if each not in taken)
