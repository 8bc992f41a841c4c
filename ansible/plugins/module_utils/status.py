"""What a host says of itself: the keys that `make status JSON=yes` prints of each host."""

from __future__ import annotations

from typing import TypedDict


class Unit(TypedDict):
    state: str
    restarts: int


class Health(TypedDict):
    ok: bool
    answer: str


class Certificate(TypedDict):
    begins: str
    expires: str


class Disk(TypedDict):
    path: str
    free_bytes: int
    free_percent: int


class Migrations(TypedDict):
    pending: list[str] | None
    problem: str | None


class Queues(TypedDict):
    queues: dict[str, int]
    reachable: bool


class Maintenance(TypedDict):
    """`on` is None where the host was provisioned before it said where its switch is."""

    on: bool | None
    since: str | None


class Unfinished(TypedDict):
    kind: str | None
    release: str | None
    step: str | None
    by: str | None
    started: str | None


class Activation(TypedDict):
    """The release that serves, and who made it serve."""

    release: str | None
    commit: str | None
    ref: str | None
    kind: str | None
    by: str | None
    since: str | None


class HostState(Activation):
    name: str
    provisioned: bool
    processes: dict[str, Unit]
    services: dict[str, Unit]
    health: Health | None
    migrations: Migrations | None
    queues: Queues | None
    certificate: Certificate | None
    disk: Disk
    maintenance: Maintenance | None
    unfinished: Unfinished | None


class LockHolder(TypedDict):
    """`token` names the run of Ansible behind the lock."""

    token: str
    who: str
    what: str
    since: str


class HostAnswer(HostState):
    """What the module `status` returns."""

    lock: LockHolder | None


class Lock(TypedDict):
    who: str
    what: str
    since: str
    step: str | None


class Difference(TypedDict):
    """What a task would change: a path or a verb."""

    task: str
    what: str | None


class HostStatus(HostState):
    """What is printed: the answer, seen from the controller."""

    lock: Lock | None
    drift: list[Difference] | None
