"""The host that a step works on: its slots, its releases and what it remembers of them."""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds
from ansible_collections.slipway.host.plugins.module_utils.release.django import Django
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now
from ansible_collections.slipway.host.plugins.module_utils.release.frontends import Frontends
from ansible_collections.slipway.host.plugins.module_utils.release.history import History
from ansible_collections.slipway.host.plugins.module_utils.release.lease import Attempt, Lease
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project, Request
from ansible_collections.slipway.host.plugins.module_utils.release.probe import Probe
from ansible_collections.slipway.host.plugins.module_utils.release.shared import SharedFiles
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots

# Of an attempt, what its record keeps.
RECORDED = ("id", "kind", "release", "commit", "ref", "previous", "by", "started")


class Host:
    def __init__(self, project: Project) -> None:
        self.project = project
        self.slots = Slots(project)
        self.builds = Builds(project)
        self.static = SharedFiles(os.path.join(project.root, "static"), self.builds.static_folder)
        self.frontends = Frontends(project)
        self.history = History(project.root)
        self.lease = Lease(project.root)
        self.attempt = Attempt(project.root)
        self.probe = Probe(project.health_host, project.health_path, project.health_timeout_seconds)
        self.django = Django(project, self.slots, self.builds, self.attempt)

    def is_recorded(self, slot: str) -> bool:
        """Whether the slot that serves was found healthy, and written down."""
        last = self.history.latest()
        wanted = (slot, self.slots.release(slot), self.slots.environment(slot))
        return (last.get("slot"), last.get("release"), last.get("environment")) == wanted

    def owned_attempt(self, request: Request) -> Json:
        """The present attempt, which enters the step; refuses when the lock is not ours any more."""
        self.lease.require(request.owner["token"])
        if not self.attempt.read():
            raise UserError(
                f"{self.attempt.path}, which says what this run does, cannot be read any more: start it again."
            )
        self.attempt.update(step=request.step)
        return self.attempt.read() or {}

    def record(self, attempt: Json, **outcome: Any) -> None:
        """Write down how an attempt ended."""
        record = {key: attempt.get(key) for key in RECORDED}
        record["environment"] = os.path.basename(attempt.get("environment") or "")
        record["slot"] = attempt.get("slot")
        if started := attempt.get("started"):
            record["seconds"] = round(time.time() - datetime.datetime.fromisoformat(started).timestamp(), 1)
        self.history.append(**record, finished=now(), **outcome)

    def unreversed(self, attempt: Json | None) -> list[list[str]]:
        """What a killed run had still to reverse after its switch, when that was completed."""
        slot = self.slots.serving()
        if not attempt or not slot or not self.is_recorded(slot):
            return []
        switched = (attempt.get("slot"), attempt["release"]) == (slot, self.slots.release(slot))
        return attempt.get("reverse", []) if switched else []

    def bring_back(self, slot: str) -> None:
        """Let a release serve again that was found good before: no time of grace."""
        self.slots.open(slot, self.probe)
        self.slots.switch(slot, self.probe, grace_seconds=0)

    def restore_static(self) -> None:
        """Static files without a hash in their name are again those of the release that serves."""
        if release := self.slots.serving_release():
            self.static.share(release)


def in_words(steps: list[list[str]]) -> str:
    """Commands that reverse migrations, for a person."""
    return ", ".join(f"{app} to {name}" for app, name in steps)
