"""What a host differs in from what the playbook would write: tasks that would change something in check mode."""

from __future__ import annotations

from ansible_collections.slipway.host.plugins.module_utils.status import Difference
from ansible_collections.slipway.host.plugins.plugin_utils.output import Result

# What a changed task says about what it would change, without its contents.
PATHS_AND_VERBS = ("dest", "path", "verbs", "name")


def is_difference(action: str, result: Result) -> bool:
    """Of the steps of a release only the first says whether one is needed."""
    is_later_step = action.rpartition(".")[2] == "release" and "needed" not in result
    return bool(result.get("changed")) and not is_later_step


def difference(task: str, result: Result, item: object = None) -> Difference:
    """What one task would change, and where; never what it would write."""
    role, _, name = task.rpartition(" : ")
    sentence = name.rpartition(" | ")[2]
    if "needed" in result:
        would = "start again" if result.get("previous") == result.get("release") else "start"
        return {"task": f"{role}: Run the release", "what": f"{result.get('release')} would {would}"}
    what = path_or_verb(result) or (str(item) if item else None)
    return {"task": f"{role}: {sentence}" if role else sentence, "what": what}


def path_or_verb(result: Result) -> str | None:
    if "censored" in result:
        return None
    arguments = (result.get("invocation") or {}).get("module_args") or {}
    named = (source[key] for key in PATHS_AND_VERBS for source in (result, arguments) if source.get(key))
    what = next(named, None)
    if isinstance(what, list):
        return ", ".join(map(str, what))
    return str(what) if what else None
