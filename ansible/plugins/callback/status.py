"""Output of status.yml and history.yml: one table on the screen and nothing else, or one JSON document."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible_collections.slipway.host.plugins.plugin_utils.inventory_files import require_readable
from ansible_collections.slipway.host.plugins.plugin_utils.output import reason, terminal_width
from ansible_collections.slipway.host.plugins.plugin_utils.status.answers import Answers
from ansible_collections.slipway.host.plugins.plugin_utils.status.drift import difference, is_difference
from ansible_collections.slipway.host.plugins.plugin_utils.status.history import HistoryDocument, history_lines
from ansible_collections.slipway.host.plugins.plugin_utils.status.overview import StatusDocument, status_lines

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.playbook import Playbook

DOCUMENTATION = """
name: status
type: stdout
short_description: What runs where, or what was tried, as one table
description:
  - Shows what the modules C(status) and C(release) found on all hosts. Everything else stays silent, except hosts that
    could not be asked.
  - Tasks of other playbooks of the same run, in check mode, are the drift of their hosts. What differs is named by task
    and path; contents are never shown.
  - Colours appear on a terminal only, and not with E(NO_COLOR); what needs a look has an exclamation mark as well.
options:
  format:
    description: What is printed. With C(json) standard output carries one document, times in UTC, and nothing else.
    type: str
    default: table
    choices: [table, json]
    env: [{name: STATUS_FORMAT}]
"""

NARROWEST, WIDEST = 40, 100


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "status"

    def __init__(self) -> None:
        super().__init__()
        self.playbooks = 0
        self.answers = Answers()

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        require_readable(playbook)
        self.playbooks += 1

    @property
    def is_drift(self) -> bool:
        """The first playbook asks the hosts; any other one, in check mode, tells their drift."""
        return self.playbooks > 1

    def host(self, result: CallbackTaskResult) -> str:
        """The host of a result. Its inventory's folder is the environment."""
        if folder := result.host.vars.get("inventory_dir"):
            self.answers.environment = Path(folder).name
        return str(result.host.get_name())

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        host = self.host(result)
        if self.is_drift:
            # Each item of a loop has told its own.
            if not (result.task.loop and "results" in result.result):
                self.add_drift(host, result)
        elif "status" in result.result:
            self.answers.hosts[host] = result.result["status"]
        elif "history" in result.result:
            self.answers.histories[host] = result.result["history"]

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        if self.is_drift:
            self.add_drift(self.host(result), result, self._get_item_label(result.result))

    def add_drift(self, host: str, result: CallbackTaskResult, item: object = None) -> None:
        """A host that a task ran on has drift, if only none."""
        drift = self.answers.drift.setdefault(host, [])
        if is_difference(result.task.action, result.result):
            drift.append(difference(result.task.get_name().strip(), result.result, item))

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        host, why = self.host(result), reason(result.result)
        if not self.is_drift:
            self.answers.failed[host] = why
        elif not ignore_errors:
            task = "Not all is known, since a task failed"
            self.answers.drift.setdefault(host, []).append({"task": task, "what": why})

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self.answers.unreachable[self.host(result)] = reason(result.result)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Print once, after the last playbook."""
        if self.playbooks < len(context.CLIARGS["args"]):
            return
        asked = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        width = min(max(terminal_width(), NARROWEST), WIDEST)
        document: HistoryDocument | StatusDocument
        if self.answers.histories:
            document = self.answers.history(asked)
            lines = history_lines(document, width)
        else:
            document = self.answers.status(asked)
            lines = status_lines(document, width)
        is_json = self.get_option("format") == "json"
        self._display.display(json.dumps(document, indent=2) if is_json else "\n".join(lines))
