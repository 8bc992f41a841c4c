"""Output for a person who waits: which play and task runs, since when, and what went wrong."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from pathlib import Path

from ansible import constants as C
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc

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

JOURNAL_LINES = 20
OUTPUT_LINES = 15
TRACE = "Traceback (most recent call last)"


def last_lines(text, count):
    lines = text if isinstance(text, list) else str(text).splitlines()
    return [str(line).rstrip() for line in lines if str(line).strip()][-count:]


def without_trace(text):
    """The text, with a trace reduced to its last line."""
    if TRACE not in text:
        return text
    before, trace = text.split(TRACE, 1)
    last = (last_lines(trace, 1) or [""])[0]
    return f"{before}{last}\nRun again with -vvv for the whole trace."


def message(result):
    """What a failed result says, in as few lines as explain it."""
    if "censored" in result:
        return "What it printed is hidden because the task carries a secret."
    said = str(result.get("msg") or result.get("reason") or "").strip().removeprefix("Task failed: ")
    outputs = (result.get(key) for key in ("stderr", "module_stderr", "stdout", "module_stdout"))
    wrote = str(next(filter(None, outputs), "")).strip()
    # Where a validation failed, the code has another name.
    if result.keys() & {"rc", "exit_status"} and wrote and wrote not in said:
        said = f"{said}\n{wrote}" if TRACE in wrote else "\n".join([said, *last_lines(wrote, OUTPUT_LINES)])
    return without_trace(said).strip()


def wrapped(text, indent="  "):
    """Lines no wider than the terminal; a line of its own stays one."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    options = {"initial_indent": indent, "subsequent_indent": indent, "break_long_words": False}
    lines = [textwrap.wrap(line, width, break_on_hyphens=False, **options) or [""] for line in text.splitlines()]
    return "\n".join(line for part in lines for line in part)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "progress"

    def __init__(self):
        super().__init__()
        self.started = time.monotonic()
        self.live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.line = ""
        self.outcome = "skipped"

    # --- lines

    def elapsed(self):
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return f"{minutes:2}:{seconds:02}"

    def begin(self, label):
        """Start the line of a task and leave it open for its outcome."""
        self.finish()
        self.line, self.outcome = f"[{self.elapsed()}] {label}", "skipped"
        shown = self.line[: shutil.get_terminal_size((100, 24)).columns - 1] if self.live else self.line
        self._display.display(shown, newline=False, screen_only=True)

    def finish(self):
        """Close the open line: a live one disappears unless its task changed something or failed."""
        if not self.line:
            return
        line, self.line = self.line, ""
        colour = {"changed": C.COLOR_CHANGED, "failed": C.COLOR_ERROR}.get(self.outcome)
        closing = stringc(self.outcome, colour) if colour else self.outcome
        if not self.live:
            self._display.display(f" ... {closing}", screen_only=True)
        else:
            kept = f"{line} ... {closing}\n" if colour else ""
            self._display.display(f"\r\x1b[2K{kept}", newline=False, screen_only=True)
        self._display.display(f"{line} ... {self.outcome}", log_only=True)

    def say(self, text, colour=None):
        """Print below the open line's task, closing that line first."""
        self.finish()
        self._display.display(text, color=colour)

    # --- plays and tasks

    def v2_playbook_on_play_start(self, play):
        self.say(f"[{self.elapsed()}] {play.get_name().strip()}", C.COLOR_HIGHLIGHT)

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.begin(task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task):
        self.begin(task.get_name().strip())

    def v2_playbook_on_no_hosts_matched(self):
        self.say("No host of the inventory belongs to this play.", C.COLOR_SKIP)

    # --- results

    def note(self, outcome):
        """The strongest outcome of all hosts is the task's."""
        self.outcome = max(self.outcome, outcome, key=["skipped", "ok", "changed", "failed"].index)

    def v2_playbook_on_include(self, included_file):
        self.note("ok")

    def v2_runner_on_ok(self, result):
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

    def v2_runner_item_on_failed(self, result):
        self.fail(result, item=self._get_item_label(result.result))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not (result.task.loop and result.result.get("results")):
            self.fail(result, ignored=ignore_errors)

    def fail(self, result, item=None, ignored=False):
        self.note("ok" if ignored else "failed")
        self._handle_warnings(result.result)
        where, name = result.host.get_name(), result.task.get_name().strip()
        head = f"{'Failed, and may,' if ignored else 'Failed'} on {where}: {name}" + (f" (item {item})" if item else "")
        self.say("\n" * bool(self.line) + head, C.COLOR_SKIP if ignored else C.COLOR_ERROR)
        self.say(wrapped(message(result.result)))
        if journal := last_lines(result.result.get("journal") or [], JOURNAL_LINES):
            self.say("\n  The journal's last lines:\n" + "\n".join(f"    {line}" for line in journal))
        self.say(f"  In {(result.task.get_path() or '').removeprefix(f'{Path.cwd()}/')}.")
        if self._display.verbosity >= 3:
            self.say(self._dump_results(result.result))
        self.say("")

    def v2_runner_on_unreachable(self, result):
        self.note("failed")
        reason = " ".join((message(result.result) or "no answer").split()).rstrip(".")
        sentence = wrapped(f"Host {result.host.get_name()} cannot be reached: {reason}.", "")
        self.say(f"\n{sentence}\n", C.COLOR_UNREACHABLE)

    def v2_on_file_diff(self, result):
        parts = result.result["results"] if result.task.loop and "results" in result.result else [result.result]
        for part in parts:
            if part.get("changed") and part.get("diff") and (diff := self._get_diff(part["diff"])):
                self.note("changed")
                self.say(diff.rstrip("\n"))

    def v2_playbook_on_stats(self, stats):
        self.finish()
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            failed = counts["failures"] + counts["unreachable"]
            colour = C.COLOR_ERROR if failed else C.COLOR_CHANGED if counts["changed"] else C.COLOR_OK
            self.say(f"{host}: {counts['ok']} ok, {counts['changed']} changed, {failed} failed", colour)
        self.say(f"Took {self.elapsed().strip()}.")
