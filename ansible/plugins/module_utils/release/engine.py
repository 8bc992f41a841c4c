"""The steps of a release, in the order in which a run takes them, each held apart from those of other runs."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.begin import begin
from ansible_collections.slipway.host.plugins.module_utils.release.build import build, targets
from ansible_collections.slipway.host.plugins.module_utils.release.commands import run
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host
from ansible_collections.slipway.host.plugins.module_utils.release.model import Request
from ansible_collections.slipway.host.plugins.module_utils.release.recovery import abort


def read(host: Host, request: Request) -> Json:
    """What serves and who holds the lock; changes nothing."""
    release = host.slots.serving_release()
    return {
        "release": release,
        "commit": (host.builds.manifest(release) or {}).get("commit"),
        "holder": host.lease.holder(),
        "history": host.history.read()[-20:],
    }


def migrate(host: Host, request: Request) -> Json:
    host.owned_attempt(request)
    answer = host.django.take_step(host.slots.idle(), "migrate", ATTEMPTS=str(request.attempts_count))
    host.attempt.update(migrated=answer["applied"])
    return {"changed": bool(answer["applied"]), "applied": answer["applied"]}


def commands(host: Host, request: Request) -> Json:
    """Run what prepares each release."""
    run(host, request, "application_release_commands", host.project.release_commands)
    return {"changed": True}


def switch(host: Host, request: Request) -> Json:
    attempt = host.owned_attempt(request)
    slots, slot, old = host.slots, host.slots.idle(), host.slots.serving()
    if attempt.get("slot") != slot:
        raise UserError("The idle slot was not built by this run: run the same command again.")
    try:
        began = time.monotonic()
        slots.open(slot, host.probe)
        ready = time.monotonic()
        slots.switch(slot, host.probe, host.project.grace_seconds)
    except UserError:
        slots.stop(slot)
        raise
    watched = time.monotonic()
    if previous := slots.release(old):
        host.static.touch(previous)
    if previous := slots.environment(old):
        host.frontends.shared.touch(previous)
    grace = round(watched - ready, 1)
    host.record(attempt, result="good", migrations=attempt.get("migrated", []), grace_seconds=grace)
    # What is not stopped here, the next run stops.
    if old:
        slots.retire(old, host.project.drain_timeout_seconds)
    retired = round(time.monotonic() - watched, 1)
    return {"changed": True, "seconds": {"ready": round(ready - began, 1), "grace": grace, "retire": retired}}


def watch(host: Host, request: Request) -> Json:
    """See that no process ends that ran well for the time of grace. By now the earlier release has stopped, so that
    nothing waits for it."""
    host.owned_attempt(request)
    if slot := host.slots.serving():
        host.probe.outlive(host.slots, slot, host.project.watch_seconds)
    return {"changed": False}


def reverse(host: Host, request: Request) -> Json:
    """Reverse migrations with the code that has them, which is now in the idle slot."""
    attempt = host.owned_attempt(request)
    attempts = str(request.attempts_count)
    slot = host.slots.idle()
    answer = host.django.take_step(slot, "reverse", TARGETS=targets(attempt["reverse"]), ATTEMPTS=attempts)
    host.attempt.update(reverse=[])
    return {"changed": True, "reversed": answer["reversed"]}


def finish(host: Host, request: Request) -> Json:
    """Remove what nothing needs, and free the lock."""
    host.owned_attempt(request)
    good = host.history.good()[::-1]
    # The present one, the one to go back to and the latest; whatever their age or time stamps.
    way_back = host.history.activations()[-2:]
    kept = list(dict.fromkeys(record["release"] for record in [*way_back, *good]))
    releases = set(kept[: max(request.retention_count, 2)])
    environments = set()
    if slot := host.slots.serving():
        releases.add(host.slots.release(slot) or "")
        environments.add(os.path.realpath(host.slots.path(slot, "environment")))
    folder = host.project.environment_folder
    environments |= {f"{folder}/{record['environment']}" for record in good if record["release"] in releases}
    pruned, warnings = [], []
    try:
        pruned = host.builds.prune(releases, environments)
        host.static.prune(releases, request.static_retention_days)
        host.frontends.prune(environments, request.static_retention_days)
    except OSError as problem:
        warnings = [f"Old releases were not all removed: {problem.strerror}: {problem.filename}."]
    host.attempt.drop()
    host.lease.drop()
    return {"changed": bool(pruned), "pruned": pruned, "warnings": warnings}


def unlock(host: Host, request: Request) -> Json:
    holder = host.lease.holder()
    if holder and holder["token"] != request.break_token:
        raise UserError(f"{holder['who']} has the lock by now, for a {holder['what']}. It was left as it is.")
    if holder and not request.check_mode:
        host.lease.drop()
    return {"changed": bool(holder), "holder": holder}


STEPS: dict[str, Callable[[Host, Request], Json]] = {
    "read": read,
    "begin": begin,
    "build": build,
    "migrate": migrate,
    "commands": commands,
    "switch": switch,
    "watch": watch,
    "reverse": reverse,
    "finish": finish,
    "abort": abort,
    "unlock": unlock,
}


def take_step(host: Host, request: Request) -> Json:
    """Take the step that is asked for; or `held`, who keeps it from being taken."""
    step = STEPS[request.step]
    if request.step == "read" or request.check_mode:
        return step(host, request)
    root = host.project.root
    if not os.path.isdir(root):
        raise UserError("This host was never provisioned: run ansible/site.yml (`make provision`) first.")
    # Held for one step only, by its process: it keeps a step that outlived its run apart from the next run's.
    with open(os.open(os.path.join(root, "lock"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = host.lease.holder() or {"who": "a run", "what": "a step that still runs", "since": now()}
            # Without the token, since the step goes on even where its run is dead.
            return {"held": {key: holder[key] for key in ("who", "what", "since")}}
        return step(host, request)
