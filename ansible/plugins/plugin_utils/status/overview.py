"""What `make status` prints: one table of all hosts, and what to know of them below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from ansible_collections.slipway.host.plugins.module_utils.status import HostStatus
from ansible_collections.slipway.host.plugins.plugin_utils.output import Paint, paint
from ansible_collections.slipway.host.plugins.plugin_utils.status.notes import (
    different_releases,
    missing_hosts,
    warning,
)
from ansible_collections.slipway.host.plugins.plugin_utils.status.table import table
from ansible_collections.slipway.host.plugins.plugin_utils.status.times import moment, stamp


class StatusDocument(TypedDict):
    environment: str
    asked: str
    hosts: dict[str, HostStatus]
    unreachable: dict[str, str]
    failed: dict[str, str]


def warnings(document: StatusDocument) -> Iterator[str]:
    yield from different_releases(document["hosts"])
    for name, host in document["hosts"].items():
        if not host["provisioned"]:
            yield f"{name} was never provisioned: run `make provision ENV={document['environment']}` first."
    yield from missing_hosts(document["unreachable"], document["failed"])


def status_lines(document: StatusDocument, width: int, paint: Paint = paint) -> Iterator[str]:
    hosts = {name: host for name, host in document["hosts"].items() if host["provisioned"]}
    yield ""
    if hosts:
        project = next(iter(hosts.values()))["name"]
        yield f"{project} on {document['environment']}, {stamp(document['asked'])} UTC"
        yield ""
        yield from table(hosts, moment(document["asked"]), width, paint)
    for sentence in warnings(document):
        yield from warning(sentence, width, paint)
    if hosts and all(host["drift"] is None for host in document["hosts"].values()):
        yield paint("drift: not asked (make status DRIFT=yes)", "faint")
    yield ""
