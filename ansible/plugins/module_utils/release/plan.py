"""What a release changes, decided from the answers of all hosts. Runs on the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Host:
    """What the steps of a release answered on one host; empty where a step did not run."""

    name: str
    read: Answer = field(default_factory=dict)
    begun: Answer = field(default_factory=dict)
    built: Answer = field(default_factory=dict)
    aborted: Answer = field(default_factory=dict)
    failed_task: str = ""
    failure: Answer | None = None

    @property
    def reverses(self) -> bool:
        """Whether migrations are reversed here after the switch, or after that of a rollback that was killed."""
        return bool(self.begun.get("reverse") or self.built.get("reverse"))


def told(host: Host) -> str:
    """What a host answered when its run gave up; why it did not, where that failed."""
    if problem := host.aborted.get("msg"):
        problem = " ".join(str(problem).split()).rstrip(".")
        return f"{host.name} could not be put back ({problem}): the next run does that."
    return str(host.aborted.get("summary") or "")


@dataclass(frozen=True)
class Plan:
    """The decisions about `hosts`, all of a run in the order of the inventory.

    `elsewhere` holds what hosts of the same project run that this run is not limited to.
    """

    action: str
    hosts: Sequence[Host]
    elsewhere: Sequence[Answer] = ()

    @property
    def _running(self) -> list[Answer]:
        return [host.read for host in self.hosts if host.read.get("release")]

    def commit(self) -> str:
        """The commit that a new host gets, which is what the others have; empty when no host has any."""
        running = [*self._running, *(answer for answer in self.elsewhere if answer.get("release"))]
        return str(running[0].get("commit") or "") if running else ""

    def kept(self) -> bool:
        """Whether every host keeps the release that it runs."""
        return self.action == "converge" and len(self._running) == len(self.hosts)

    def changing(self) -> list[str]:
        return [host.name for host in self.hosts if host.begun.get("needed")]

    def reversing(self) -> list[str]:
        return [host.name for host in self.hosts if host.reverses]

    def locked(self) -> list[str]:
        return [host.name for host in self.hosts if host.read.get("holder")]

    def summary(self) -> str:
        """What happens to each database; hosts that share one say the same."""
        return "\n".join(dict.fromkeys(host.built["summary"] for host in self.hosts if host.built.get("summary")))

    def require_one_target(self) -> None:
        """Refuse a rollback that would take hosts to different releases."""
        targets = dict.fromkeys(host.begun["release"] for host in self.hosts if host.begun.get("release"))
        if self.action == "rollback" and len(targets) > 1:
            raise UserError(f"The hosts would go back to {', '.join(targets)}: name one release, RELEASE=...")

    # --- after a failure

    @property
    def _failed(self) -> Host | None:
        return next((host for host in self.hosts if host.failure is not None), None)

    def failed_step(self) -> str:
        """The name of the task that failed, without its file."""
        return self._failed.failed_task.rpartition("| ")[2] if self._failed else ""

    def reason(self) -> str:
        """Why it failed, with the last line of the journal of what failed, unless it says that already."""
        failure = (self._failed and self._failed.failure) or {}
        sentence = str(failure.get("msg") or "A host could not be reached.")
        last = "".join(list(failure.get("journal") or [])[-1:])
        return sentence if last.strip().rstrip(".") in sentence else f"{sentence} {last}"

    def outcome(self) -> str:
        """What became of the hosts."""
        return " ".join(filter(None, map(told, self.hosts))) or "Nothing was changed."

    def decisions(self) -> dict[str, Any]:
        """All of them, by name. Raises UserError when the hosts disagree."""
        self.require_one_target()
        return {
            "commit": self.commit(),
            "kept": self.kept(),
            "changing": self.changing(),
            "reversing": self.reversing(),
            "locked": self.locked(),
            "summary": self.summary(),
            "failed_step": self.failed_step(),
            "reason": self.reason(),
            "outcome": self.outcome(),
        }
