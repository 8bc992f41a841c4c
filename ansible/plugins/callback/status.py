"""Output of status.yml and history.yml: one table on the screen and nothing else, or one JSON document."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import textwrap
from pathlib import Path

from ansible import constants as C
from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc
from ansible_collections.slipway.host.plugins.module_utils.release.owner import is_dead

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

LABEL = 13
WIDEST = 32
ATTEMPTS = 20
SAME_ATTEMPT_SECONDS = 600
CERTIFICATE_DAYS = 21
DISK_PERCENT = 10
DISK_BYTES = 2**30
PLAIN, GOOD, BAD, FAINT, HEADING = "plain", "good", "bad", "faint", "heading"
COLOURS = {GOOD: C.COLOR_OK, BAD: C.COLOR_ERROR, FAINT: "dark gray", HEADING: "cyan"}
# What a changed task says about what it would change, without its contents.
PLACES = ("dest", "path", "verbs", "name")


def paint(text, level):
    return stringc(text, COLOURS[level]) if level in COLOURS else text


# --- words


def moment(text):
    return datetime.datetime.fromisoformat(text)


def stamp(text):
    return moment(text).astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")


def ago(text, now):
    seconds = max(int((now - moment(text)).total_seconds()), 0)
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def days_left(expires, now):
    return (moment(expires) - now).days


def listed(names):
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def what_commit(found):
    """A commit, short, with the words it was asked for; a tarball has only those."""
    commit, ref = (found.get("commit") or "")[:7], found.get("ref")
    if ref and commit and not ref.startswith(commit):
        return f"{commit} ({ref})"
    return commit or ref or "-"


def health_answer(answer):
    """A bad answer in few words; of our own health page the checks that failed."""
    status, _, body = answer.partition(" ")
    try:
        bad = [f"{name} {text}" for name, text in json.loads(body)["checks"].items() if text != "ok"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return " ".join(answer.split())[:100]
    return f"{status}: {', '.join(bad)}" if bad else status


def unit_words(units):
    """What runs on one line, then each unit that does not, or had to be started again."""
    fine = [name for name, unit in units.items() if unit["state"] == "active" and not unit["restarts"]]
    lines = [(f"{', '.join(fine)} active", GOOD)] if fine else []
    for name, unit in units.items():
        if name not in fine:
            again = f", {unit['restarts']} restarts" if unit["restarts"] else ""
            lines.append((f"{name} {unit['state']}{again}", BAD))
    return lines


# --- one cell of the table: lines of (text, level); none for nothing to say


def release_cell(host, now):
    if not host["processes"] and not host["release"]:
        return []
    return [(host["release"], PLAIN)] if host["release"] else [("none serves yet", BAD)]


def commit_cell(host, now):
    return [(what_commit(host), PLAIN)] if host["release"] else []


def since_cell(host, now):
    if not host["since"]:
        return []
    how = {"rollback": "rolled back ", "return": "went back "}.get(host["kind"], "")
    return [(f"{how}{stamp(host['since'])}, {ago(host['since'], now)}", PLAIN)]


def by_cell(host, now):
    return [(host["by"], PLAIN)] if host["by"] else []


def health_cell(host, now):
    health = host["health"]
    if not health:
        return []
    return [("ok", GOOD)] if health["ok"] else [(health_answer(health["answer"]), BAD)]


def processes_cell(host, now):
    return unit_words(host["processes"])


def services_cell(host, now):
    return unit_words(host["services"])


def migrations_cell(host, now):
    found = host["migrations"]
    if not found:
        return []
    if found["pending"] is None:
        return [(f"unknown: {found['problem']}", BAD)]
    pending = found["pending"]
    more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
    return [(f"{len(pending)} pending: {', '.join(pending[:3])}{more}", BAD)] if pending else [("none pending", GOOD)]


def queues_cell(host, now):
    found = host["queues"]
    if not found:
        return []
    if not found.get("reachable"):
        return [("the broker does not answer", BAD)]
    # Whatever lies outside the queues that work is done from waits for a person.
    stuck = ("unknown", "dead_letters")
    return [(f"{name} {count}", BAD if count and name in stuck else PLAIN) for name, count in found["queues"].items()]


def certificate_cell(host, now):
    if not host["certificate"]:
        return [("nginx shows none", BAD)] if host["health"] else []
    days = days_left(host["certificate"]["expires"], now)
    return [(f"{days} days left" if days >= 0 else "expired", GOOD if days >= CERTIFICATE_DAYS else BAD)]


def disk_cell(host, now):
    free, percent = host["disk"]["free_bytes"], host["disk"]["free_percent"]
    bad = percent < DISK_PERCENT or free < DISK_BYTES
    return [(f"{free / 2**30:.1f} GiB free, {percent} %", BAD if bad else PLAIN)]


def maintenance_cell(host, now):
    found = host["maintenance"]
    if not found:
        return []
    return [(f"on, since {ago(found['since'], now).removesuffix(' ago')}", BAD)] if found["on"] else [("off", PLAIN)]


def lock_cell(host, now):
    lock = host["lock"]
    if not lock:
        return []
    step = f", in the step {lock['step']}" if lock.get("step") else ""
    return [(f"{lock['who']}, {ago(lock['since'], now)}: {lock['what']}{step}", BAD)]


def unfinished_cell(host, now):
    left = host["unfinished"]
    if not left:
        return []
    return [(f"{left['kind']} of {left['release']} by {left['by']}, killed in the step {left['step']}", BAD)]


def drift_words(task, what):
    """A path speaks for itself."""
    return what if (what or "").startswith("/") else f"{task}: {what}" if what else task


def drift_cell(host, now):
    if host.get("drift") is None:
        return []
    return [(drift_words(**each), BAD) for each in host["drift"]] or [("none", GOOD)]


# Each with whether it is left out where nobody has anything to say, though the application runs there.
ROWS = {
    "release": (release_cell, False),
    "commit": (commit_cell, False),
    "since": (since_cell, False),
    "by": (by_cell, False),
    "health": (health_cell, False),
    "processes": (processes_cell, False),
    "services": (services_cell, True),
    "migrations": (migrations_cell, False),
    "queues": (queues_cell, False),
    "certificate": (certificate_cell, False),
    "disk": (disk_cell, False),
    "maintenance": (maintenance_cell, True),
    "lock": (lock_cell, True),
    "unfinished": (unfinished_cell, True),
    "drift": (drift_cell, True),
}


def fold(cell, width):
    """The lines of a cell, none wider than `width`."""
    lines = []
    for text, level in cell or [("-", FAINT)]:
        marked = f"! {text}" if level == BAD else text
        options = {"subsequent_indent": "  "} if level == BAD else {}
        parts = textwrap.wrap(marked, width, break_on_hyphens=False, **options)
        lines += [(part, level) for part in parts]
    return lines


def short_items(cell):
    """Short words of one kind share a line."""
    plain = [text for text, level in cell if level == PLAIN]
    return [(", ".join(plain), PLAIN)] * bool(plain) + [item for item in cell if item[1] != PLAIN]


def bands(names, widths, width):
    """Hosts side by side, as many as fit."""
    band = []
    for name in names:
        if band and LABEL + sum(widths[each] + 2 for each in [*band, name]) > width:
            yield band
            band = []
        band.append(name)
    if band:
        yield band


def table(hosts, now, width, paint=paint):
    """The lines of the table: a row for each question, a column for each host."""
    cells = {name: {row: short_items(ask(host, now)) for row, (ask, _) in ROWS.items()} for name, host in hosts.items()}
    most = width - LABEL if len(hosts) == 1 else WIDEST
    folded = {name: {row: fold(cell, most) for row, cell in own.items()} for name, own in cells.items()}
    widths = {
        name: max(len(name), *(len(text) for lines in own.values() for text, _ in lines))
        for name, own in folded.items()
    }
    for band in bands(list(hosts), widths, width):
        heads = "  ".join(paint(name, HEADING) + " " * (widths[name] - len(name)) for name in band)
        yield f"{'':{LABEL}}{heads}".rstrip()
        yield paint("─" * (LABEL + sum(widths[name] + 2 for name in band) - 2), FAINT)
        for row, (_, optional) in ROWS.items():
            dispensable = optional or not any(hosts[name]["processes"] for name in band)
            if dispensable and not any(cells[name][row] for name in band):
                continue
            for number in range(max(len(folded[name][row]) for name in band)):
                parts = [(folded[name][row][number:] or [("", PLAIN)])[0] for name in band]
                gaps = [" " * (widths[name] - len(text)) for name, (text, _) in zip(band, parts, strict=True)]
                padded = [paint(*part) + gap for part, gap in zip(parts, gaps, strict=True)]
                yield f"{'' if number else row:{LABEL}}{'  '.join(padded)}".rstrip()
        yield ""


# --- what is said below the table


def differing(hosts):
    """A sentence about hosts that run different releases, or None."""
    running = {}
    for name, host in hosts.items():
        if host["release"]:
            running.setdefault(host["release"], []).append(name)
    if len(running) < 2:
        return None
    each = [f"{listed(names)} {'runs' if len(names) == 1 else 'run'} {release}" for release, names in running.items()]
    return f"The hosts run different releases: {'; '.join(each)}."


def trouble(unreachable, failed):
    yield from (f"{name} cannot be reached: {reason}." for name, reason in unreachable.items())
    yield from (f"{name} could not be asked: {reason}." for name, reason in failed.items())


def status_lines(document, width, paint=paint):
    now = moment(document["asked"])
    hosts = {name: host for name, host in document["hosts"].items() if host["provisioned"]}
    bare = [name for name in document["hosts"] if name not in hosts]
    environment = document["environment"]
    yield ""
    if hosts:
        project = next(iter(hosts.values()))["name"]
        yield f"{project} on {environment}, {stamp(document['asked'])} UTC"
        yield ""
        yield from table(hosts, now, width, paint)
    below = [(differing(hosts), BAD)]
    below += [(f"{name} was never provisioned: run `make provision ENV={environment}` first.", BAD) for name in bare]
    below += [(text, BAD) for text in trouble(document["unreachable"], document["failed"])]
    asked = any(host["drift"] is not None for host in document["hosts"].values())
    below += [("drift: not asked (make status DRIFT=yes)", FAINT)] if hosts and not asked else []
    for text, level in below:
        if text:
            lines = textwrap.wrap(f"! {text}" if level == BAD else text, width, subsequent_indent="  ")
            yield from (paint(line, level) for line in lines)
    yield ""


# --- history


def merge(histories):
    """Attempts of all hosts, newest first; one that several hosts share is one."""
    merged = []
    records = [(record, host) for host, own in histories.items() for record in own if record.get("finished")]
    for record, host in sorted(records, key=lambda pair: pair[0]["finished"], reverse=True):
        for other in merged:
            alike = all(record.get(key) == other.get(key) for key in ("kind", "release", "result", "by"))
            apart = abs((moment(record["finished"]) - moment(other["finished"])).total_seconds())
            if alike and host not in other["hosts"] and apart < SAME_ATTEMPT_SECONDS:
                other["hosts"].append(host)
                other["seconds"] = max(filter(None, (other["seconds"], record.get("seconds"))), default=None)
                break
        else:
            keys = ("kind", "release", "commit", "ref", "previous", "by", "started", "finished", "result")
            keys += ("step", "why", "migrations", "seconds")
            merged.append({**{key: record.get(key) for key in keys}, "hosts": [host]})
    return [{**attempt, "hosts": sorted(attempt["hosts"])} for attempt in merged[:ATTEMPTS]]


def history_row(attempt):
    commit = attempt["release"] or "-"
    return {
        "finished (UTC)": stamp(attempt["finished"]),
        "kind": attempt["kind"] or "-",
        "release": f"{commit} ({attempt['ref']})" if attempt["ref"] else commit,
        "by": attempt["by"] or "-",
        "result": attempt["result"] or "-",
        "seconds": "-" if attempt["seconds"] is None else f"{attempt['seconds']:.0f}",
        "hosts": ", ".join(attempt["hosts"]),
    }


def history_table(attempts, width, paint):
    rows = [history_row(attempt) for attempt in attempts]
    if len({row["hosts"] for row in rows} | set(attempts[0]["hosts"])) == 1:
        rows = [{head: text for head, text in row.items() if head != "hosts"} for row in rows]
    widths = {head: max(len(head), *(len(row[head]) for row in rows)) for head in rows[0]}
    heads = dict(zip(widths, widths, strict=True))
    sides = {head: ">" if head == "seconds" else "<" for head in widths}
    padded = [{head: f"{text:{sides[head]}{widths[head]}}" for head, text in row.items()} for row in [heads, *rows]]
    yield paint("  ".join(padded[0].values()).rstrip(), HEADING)
    yield paint("─" * (sum(widths.values()) + 2 * len(widths) - 2), FAINT)
    for row, attempt in zip(padded[1:], attempts, strict=True):
        row["result"] = paint(row["result"], GOOD if attempt["result"] == "good" else BAD)
        yield "  ".join(row.values()).rstrip()
        # Also of a return, which is good by itself: what it returned from.
        if attempt["why"]:
            text = ": ".join(filter(None, (attempt["step"], attempt["why"].strip().partition("\n")[0])))
            yield paint("    " + textwrap.shorten(text, width - 4, placeholder=" ..."), FAINT)


def history_lines(document, width, paint=paint):
    attempts = document["attempts"]
    yield ""
    if attempts:
        yield from history_table(attempts, width, paint)
    else:
        yield f"Nothing was released to {document['environment']} yet."
    yield ""
    for text in trouble(document["unreachable"], document["failed"]):
        yield from (paint(line, BAD) for line in textwrap.wrap(f"! {text}", width, subsequent_indent="  "))


# --- what differs from what the playbook would write


def drift_item(task, result):
    """What one task would change, and where; never what it would write."""
    role, _, name = task.rpartition(" : ")
    sentence = name.rpartition(" | ")[2]
    task = f"{role}: {sentence}" if role else sentence
    if "censored" in result:
        return {"task": task, "what": None}
    if "needed" in result:
        release, previous = result.get("release"), result.get("previous")
        would = "start again" if previous == release else "start"
        return {"task": f"{role}: Run the release", "what": f"{release} would {would}"}
    given = (result.get("invocation") or {}).get("module_args") or {}
    places = (source[key] for key in PLACES for source in (result, given) if source.get(key))
    what = next(places, None) or result.get("item_label")
    return {"task": task, "what": ", ".join(map(str, what)) if isinstance(what, list) else what and str(what)}


def reason(result):
    """What a failed result says, on one line."""
    text = str(result.get("msg") or result.get("module_stderr") or "no answer")
    text = re.sub(r"^Task failed: ", "", text.strip())
    return " ".join(text.split())[:300].rstrip(".")


def settle(status, is_dead=is_dead):
    """Tell a run that goes on from one that was killed; a token is nobody else's business."""
    lock = status["lock"]
    if lock and lock.get("token") and is_dead(lock["token"]):
        lock = None
    if lock:
        step = (status["unfinished"] or {}).get("step")
        lock = {**{key: lock.get(key) for key in ("who", "what", "since")}, "step": step}
    return {**status, "lock": lock, "unfinished": None if lock else status["unfinished"]}


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "status"

    def __init__(self):
        super().__init__()
        self.playbooks = 0
        self.environment = "-"
        self.hosts, self.histories, self.unreachable, self.failed, self.drift = {}, {}, {}, {}, {}

    def v2_playbook_on_start(self, playbook):
        self.playbooks += 1

    def is_asking(self):
        """Whether the first playbook runs, which asks; the others tell the drift."""
        return self.playbooks == 1

    def note(self, result):
        """The host of a result, having told its environment."""
        if folder := result.host.vars.get("inventory_dir"):
            self.environment = Path(folder).name
        return result.host.get_name()

    def v2_runner_on_ok(self, result):
        host = self.note(result)
        if self.is_asking():
            if "status" in result.result:
                self.hosts[host] = settle(result.result["status"])
            elif "history" in result.result:
                self.histories[host] = result.result["history"]
            return
        own = self.drift.setdefault(host, [])
        looped = result.task.loop and "results" in result.result
        silent = result.task.action == "release" and "needed" not in result.result
        if result.result.get("changed") and not looped and not silent:
            own.append(drift_item(result.task.get_name().strip(), result.result))

    def v2_runner_item_on_ok(self, result):
        if self.is_asking() or not result.result.get("changed"):
            return
        found = {**result.result, "item_label": self._get_item_label(result.result)}
        own = self.drift.setdefault(self.note(result), [])
        own.append(drift_item(result.task.get_name().strip(), found))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        host, said = self.note(result), reason(result.result)
        if self.is_asking():
            self.failed[host] = said
        elif not ignore_errors:
            self.drift.setdefault(host, []).append({"task": "Not all is known, since a task failed", "what": said})

    def v2_runner_on_unreachable(self, result):
        self.unreachable[self.note(result)] = reason(result.result)

    def v2_playbook_on_stats(self, stats):
        """Print once, after the last playbook."""
        if self.playbooks < len(context.CLIARGS["args"]):
            return
        asked = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        document = {"environment": self.environment, "asked": asked}
        if self.histories:
            document["attempts"] = merge(self.histories)
            lines = history_lines
        else:
            told = self.playbooks > 1
            document["hosts"] = {
                name: {**host, "drift": self.drift.get(name) if told else None} for name, host in self.hosts.items()
            }
            lines = status_lines
        document |= {"unreachable": self.unreachable, "failed": self.failed}
        if self.get_option("format") == "json":
            self._display.display(json.dumps(document, indent=2))
            return
        width = max(min(shutil.get_terminal_size((100, 24)).columns, 100), 60)
        self._display.display("\n".join(lines(document, width)))
