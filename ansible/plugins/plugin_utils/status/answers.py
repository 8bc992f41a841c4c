"""What the hosts of one run answered, gathered into one document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.slipway.host.plugins.module_utils.release.owner import is_dead
from ansible_collections.slipway.host.plugins.module_utils.status import Difference, HostAnswer, HostStatus, Lock
from ansible_collections.slipway.host.plugins.plugin_utils.status.history import HistoryDocument, Record, merge
from ansible_collections.slipway.host.plugins.plugin_utils.status.overview import StatusDocument


def host_status(
    answer: HostAnswer, drift: list[Difference] | None, is_dead: Callable[[str], bool] = is_dead
) -> HostStatus:
    """Tell a run that goes on from one that was killed; its token is nobody else's business."""
    holder, unfinished = answer["lock"], answer["unfinished"]
    lock: Lock | None = None
    if holder and not (holder.get("token") and is_dead(holder["token"])):
        step = unfinished["step"] if unfinished else None
        lock = {"who": holder["who"], "what": holder["what"], "since": holder["since"], "step": step}
    return {**answer, "lock": lock, "unfinished": None if lock else unfinished, "drift": drift}


@dataclass
class Answers:
    environment: str = "-"
    hosts: dict[str, HostAnswer] = field(default_factory=dict)
    histories: dict[str, list[Record]] = field(default_factory=dict)
    drift: dict[str, list[Difference]] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def status(self, asked: str) -> StatusDocument:
        return {
            "environment": self.environment,
            "asked": asked,
            "hosts": {name: host_status(host, self.drift.get(name)) for name, host in self.hosts.items()},
            "unreachable": self.unreachable,
            "failed": self.failed,
        }

    def history(self, asked: str) -> HistoryDocument:
        return {
            "environment": self.environment,
            "asked": asked,
            "attempts": merge(self.histories),
            "unreachable": self.unreachable,
            "failed": self.failed,
        }
