"""What the steps of a release are told: the project, the same in every step, and the request, of one step."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Annotated, Any

# A path, which Ansible expands, unlike other text.
Path = Annotated[str, {"type": "path"}]
STEPS = ("read", "begin", "build", "migrate", "commands", "switch", "watch", "reverse", "finish", "abort", "unlock")
# What decides, beside its source, what a release is; its name does not tell.
SHAPE = (
    *("source_folder", "requirements_file", "python_packages", "python", "static_folder", "media_folder"),
    *("persistent_paths", "files", "build_commands"),
)


@dataclass(frozen=True)
class Project:
    """A Django project on a host. Each field is an option of `project`; the role hands over a value for each."""

    name: Annotated[str, "Beginning of the units' names."]
    root: Annotated[Path, "Folder with releases and slots."]
    user: Annotated[str, "System user of the processes."]
    processes: Annotated[list[str], "Names of the processes to run here."]
    kinds: Annotated[dict[str, str], "The kind of each process that is defined, also elsewhere, by its name."]
    commands: Annotated[list[str], "What the processes run."]
    source_folder: Annotated[str, "Folder of the source that the release is made of."]
    requirements_file: Annotated[str, "Of any kind, relative to the project's folder."]
    packages: Annotated[list[str], "Packages of the distribution that it needs."]
    python_packages: Annotated[list[str], "Requirements of packages that the file does not name."]
    python: Annotated[str, "Version that uv brings, or path of an interpreter; empty for the host's."]
    python_mirror: Annotated[str, "Where uv gets Pythons from; empty for where they are published."]
    static_folder: Annotated[str, "STATIC_ROOT, relative to the release."]
    media_folder: Annotated[str, "Link to the project's media, relative to the release."]
    persistent_paths: Annotated[list[str], "Links to what outlives releases."]
    files: Annotated[list[str], "Paths of the release that the inventory has the content of."]
    build_commands: Annotated[list[str], "What builds the release, before its static files are collected."]
    release_commands: Annotated[list[str], "What prepares each release on one host, after its migrations."]
    command_timeout_seconds: Annotated[int, "How long one of these commands may take."]
    health_host: Annotated[str, "Host header of the readiness probe."]
    health_path: Annotated[str, "Path of the readiness probe."]
    health_timeout_seconds: Annotated[int, "How long the release may take to be ready."]
    grace_seconds: Annotated[int, "How long a release is watched after the switch."]
    watch_seconds: Annotated[int, "How long each process has to run before a release is finished."]
    drain_timeout_seconds: Annotated[int, "How long the old slot's queue may take to empty."]
    lock_timeout_seconds: Annotated[int, "How long a migration waits for a lock."]

    @property
    def run_folder(self) -> str:
        return f"/run/{self.name}"

    @property
    def environment_folder(self) -> str:
        return f"/etc/{self.name}"

    @property
    def driver(self) -> str:
        """The file that takes a step with the release's own Django."""
        return f"/usr/local/lib/{self.name}/django_release.py"

    @property
    def facts(self) -> str:
        """What the role of the proxy says of the project's site, once there is one."""
        return f"/etc/ansible/facts.d/slipway_{self.name}.fact"

    @property
    def shape(self) -> dict[str, Any]:
        values = dataclasses.asdict(self)
        return {name: values[name] for name in SHAPE}

    @property
    def links(self) -> dict[str, str]:
        """Paths of a release that lead to what outlives it, each with the folder below the root that it lies in."""
        data = {**dict.fromkeys(self.persistent_paths, "data"), **dict.fromkeys(self.files, "files")}
        return {**data, self.media_folder: ""} if self.media_folder else data


@dataclass(frozen=True)
class Request:
    """What one step is to do. Each field is an option of the module."""

    step: Annotated[
        str, "The step to take. All but C(read) and C(begin) need the lock that C(begin) took.", {"choices": STEPS}
    ]
    owner: Annotated[
        dict[str, str], "Token, person and machine behind this run; the action plugin adds it.", {"no_log": False}
    ] = field(default_factory=dict)
    break_token: Annotated[
        str, "Token of an owner that is known to be dead, or whose lock is to be freed.", {"no_log": False}
    ] = ""
    kind: Annotated[str, "What the attempt is.", {"choices": ("converge", "deploy", "rollback")}] = ""
    release: Annotated[str, "Name of the release; with C(rollback) empty for the last good one."] = ""
    commit: Annotated[str | None, "What it was made of."] = None
    ref: Annotated[str | None, "How it was asked for."] = None
    environment: Annotated[Path, "The environment file to run it with."] = ""
    archive: Annotated[Path, "The release's files on this host; the action plugin brings them."] = ""
    frontends: Annotated[Path, "Its front ends on this host, in the same manner."] = ""
    tools_requirements: Annotated[str, "Compiled requirements of what builds a release."] = ""
    poetry_requirements: Annotated[str, "Compiled requirements of what reads a poetry.lock."] = ""
    breaking_migrations_enabled: Annotated[bool, "Whether migrations may break the running release."] = False
    reverse_migrations_enabled: Annotated[bool, "Whether a rollback reverses what its target does not have."] = False
    attempts_count: Annotated[int, "How often a migration that waited in vain is tried."] = 0
    retention_count: Annotated[int, "How many releases stay."] = 0
    static_retention_days: Annotated[int, "How long static files and front ends of removed releases stay."] = 0
    reason: Annotated[str, "Why the attempt is given up."] = ""
    failed_step: Annotated[str, "Where it failed."] = ""
    switched_everywhere: Annotated[bool, "Whether the release serves on all hosts, so that it is not given up."] = False
    check_mode: bool = False


# What a step cannot do without, as AnsibleModule takes it.
REQUIRED_IF = [
    ("step", "begin", ("owner", "kind", "release")),
    ("kind", "converge", ("environment",)),
    ("kind", "deploy", ("environment",)),
    (
        *("step", "build"),
        (
            *("owner", "release", "tools_requirements", "poetry_requirements"),
            *("breaking_migrations_enabled", "reverse_migrations_enabled"),
        ),
    ),
    ("step", "migrate", ("owner", "attempts_count")),
    ("step", "commands", ("owner",)),
    ("step", "switch", ("owner",)),
    ("step", "watch", ("owner",)),
    ("step", "reverse", ("owner", "attempts_count")),
    ("step", "finish", ("owner", "retention_count", "static_retention_days")),
    ("step", "abort", ("owner", "reason", "failed_step")),
    ("step", "unlock", ("break_token",)),
]
TYPES: dict[Any, dict[str, Any]] = {
    str: {"type": "str"},
    int: {"type": "int"},
    bool: {"type": "bool"},
    list[str]: {"type": "list", "elements": "str"},
    dict[str, str]: {"type": "dict"},
}


def options(described: type[Project | Request]) -> dict[str, dict[str, Any]]:
    """The options that the fields of a dataclass are, as a module documents them."""
    hints = typing.get_type_hints(described, include_extras=True)
    found = {}
    for each in dataclasses.fields(described):
        if typing.get_origin(hints[each.name]) is not Annotated:
            # Not an option: Ansible tells of check mode in its own way.
            continue
        hint, *extras = typing.get_args(hints[each.name])
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            hint = typing.get_args(hint)[0]
        option = dict(TYPES[hint])
        for extra in extras:
            option.update(extra if isinstance(extra, dict) else {"description": extra})
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            option["required"] = True
        found[each.name] = option
    return found


def spec(described: type[Project | Request]) -> dict[str, dict[str, Any]]:
    """The same, as AnsibleModule takes them."""
    plain = options(described)
    for option in plain.values():
        del option["description"]
    return plain


def project_spec() -> dict[str, Any]:
    return {"type": "dict", "required": True, "options": spec(Project)}
