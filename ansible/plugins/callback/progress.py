"""Output for a person who waits: which play and task runs, since when, and what went wrong."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ansible import constants as C
from ansible.plugins.callback import CallbackBase
from ansible_collections.slipway.host.plugins.plugin_utils.inventory_files import require_readable
from ansible_collections.slipway.host.plugins.plugin_utils.output import (
    COLOURS,
    TRACE,
    Level,
    full_message,
    last_lines,
    message,
    paint,
    reason,
    terminal_width,
)

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.playbook import Playbook
    from ansible.playbook.included_file import IncludedFile
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task

DOCUMENTATION = """
name: progress
type: stdout
short_description: One line for each task, with the time since the start
description:
  - On a terminal one status line follows the tasks, and only those that changed something stay on the screen.
    Elsewhere each task is one plain line. E(NO_COLOR) turns colours off.
  - A failure shows the task, the host, the message and the place in the code. When the result has a C(journal), as
    text or as a list of lines, its last lines follow. The trace of a failed module is reduced to its last line,
    except with C(-vvv).
  - With C(--diff), what changed is shown below the task. Results of tasks with C(no_log) are never shown.
  - It ends with one line for each host and the total time.
extends_documentation_fragment:
  - result_format_callback
"""

# What an address hears that is banned, by the ban list or by sshd itself since OpenSSH 9.8.
REFUSALS = ("Connection refused", "Not allowed at this time")
BANNED = (
    "If this worked before, the host may have banned your address: wait for firewall_ban_seconds, an hour unless you "
    "changed it, or type `fail2ban-client unban ADDRESS` on its console."
)
JOURNAL_LINES = 20
WIDEST = 110
# Weakest first: the strongest outcome of all hosts is the task's.
OUTCOMES = ["skipped", "ok", "changed", "failed"]
LEVELS: dict[str, Level] = {"changed": "changed", "failed": "bad"}


def wrapped(text: str, indent: str = "  ") -> str:
    """Lines no wider than the terminal; a line of its own stays one."""
    wrapper = textwrap.TextWrapper(
        width=min(terminal_width(), WIDEST),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(part for line in text.splitlines() for part in wrapper.wrap(line) or [""])


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "progress"

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.line = ""
        self.outcome = "skipped"
        self.groups = ""

    # --- lines

    def elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return f"{minutes:2}:{seconds:02}"

    def begin(self, label: str) -> None:
        """Start the line of a task and leave it open for its outcome."""
        self.finish()
        self.line, self.outcome = f"[{self.elapsed()}] {label}", "skipped"
        shown = self.line[: terminal_width() - 1] if self.live else self.line
        self._display.display(shown, newline=False, screen_only=True)

    def finish(self) -> None:
        """Close the open line: a live one disappears unless its task changed something or failed."""
        if not self.line:
            return
        line, self.line = self.line, ""
        closing = paint(self.outcome, LEVELS.get(self.outcome, "plain"))
        if not self.live:
            self._display.display(f" ... {closing}", screen_only=True)
        else:
            kept = f"{line} ... {closing}\n" if self.outcome in LEVELS else ""
            self._display.display(f"\r\x1b[2K{kept}", newline=False, screen_only=True)
        self._display.display(f"{line} ... {self.outcome}", log_only=True)

    def say(self, text: str, level: Level = "plain") -> None:
        """Print below the open line's task, closing that line first."""
        self.finish()
        self._display.display(text, color=COLOURS.get(level))

    # --- plays and tasks

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        require_readable(playbook)

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self.groups = ", ".join(play.hosts)
        self.say(f"[{self.elapsed()}] {play.get_name().strip()}", "heading")

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        self.begin(task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        self.begin(task.get_name().strip())

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self.say(f"No host of the inventory belongs to this play, which is for: {self.groups}.", "skipped")

    # --- results

    def note(self, outcome: str) -> None:
        self.outcome = max(self.outcome, outcome, key=OUTCOMES.index)

    def v2_playbook_on_include(self, included_file: IncludedFile) -> None:
        self.note("ok")

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Show warnings, what a debug task is there to print, and with -v any result."""
        self.note("changed" if result.result.get("changed") else "ok")
        if result.result.get("warnings") or result.result.get("deprecations"):
            self.finish()
        self._handle_warnings(result.result)
        if result.task.loop and "results" in result.result:
            return
        if result.task.action in C._ACTION_DEBUG:
            self._clean_results(result.result, result.task.action)
        if isinstance(text := result.result.get("msg"), str) and result.task.action in C._ACTION_DEBUG:
            self.say(text)
        elif self._run_is_verbose(result):
            self.say(f"{result.host.get_name()}: {self._dump_results(result.result)}")

    v2_runner_item_on_ok = v2_runner_on_ok

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        self.fail(result, item=self._get_item_label(result.result))

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        if not (result.task.loop and result.result.get("results")):
            self.fail(result, ignored=ignore_errors)

    def fail(self, result: CallbackTaskResult, item: object = None, ignored: bool = False) -> None:
        self.note("ok" if ignored else "failed")
        self._handle_warnings(result.result)
        where, name = result.host.get_name(), result.task.get_name().strip()
        head = f"{'Failed, and may,' if ignored else 'Failed'} on {where}: {name}" + (f" (item {item})" if item else "")
        self.say("\n" * bool(self.line) + head, "skipped" if ignored else "bad")
        self.say(wrapped(message(result.result)))
        if TRACE in full_message(result.result):
            self.say("  Run again with -vvv for the whole trace.")
        if journal := last_lines(result.result.get("journal") or [], JOURNAL_LINES):
            self.say("\n  The journal's last lines:\n" + "\n".join(f"    {line}" for line in journal))
        self.say(f"  In {(result.task.get_path() or '').removeprefix(f'{Path.cwd()}/')}.")
        if self._display.verbosity >= 3:
            self.say(self._dump_results(result.result))
        self.say("")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self.note("failed")
        sentence = f"Host {result.host.get_name()} cannot be reached: {reason(result.result)}."
        hint = f" {BANNED}" if any(sign in sentence for sign in REFUSALS) else ""
        self.say(f"\n{wrapped(sentence + hint, '')}\n", "unreachable")

    def v2_on_file_diff(self, result: CallbackTaskResult) -> None:
        parts = result.result["results"] if result.task.loop and "results" in result.result else [result.result]
        for part in parts:
            if part.get("changed") and part.get("diff") and (diff := self._get_diff(part["diff"])):
                self.note("changed")
                self.say(diff.rstrip("\n"))

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        self.finish()
        if stats.failures or stats.dark:
            self.say("docs/troubleshoot.md says what each message means and what to do.")
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            failed = counts["failures"] + counts["unreachable"]
            level: Level = "bad" if failed else "changed" if counts["changed"] else "good"
            self.say(f"{host}: {counts['ok']} ok, {counts['changed']} changed, {failed} failed", level)
        self.say(f"Took {self.elapsed().strip()}.")
