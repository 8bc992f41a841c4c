"""The way back: from a run that was killed, when the next one begins, and from a run that gives up."""

from __future__ import annotations

import contextlib
import os

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host, in_words
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.model import Request

# --- from a run that was killed


def recover(host: Host, request: Request, unfinished: Json | None) -> list[str]:
    """Clear up what a killed run left, so that what serves is healthy, recorded and alone; sentences about it."""
    slots, slot = host.slots, host.slots.serving()
    # A step lives on when its run is killed. First of all, since a full disk may be why.
    systemd.stop([slots.step_unit(slots.idle()), slots.command_unit])
    half_made = [name for name in host.builds.incomplete() if name != slots.release(slot)]
    for name in half_made:
        host.builds.discard(name)
    done = [f"the half-made release {name} is removed" for name in half_made]
    recorded = [record.get("id") for record in host.history.good()]
    if slot and not host.is_recorded(slot):
        record, unfinished = activation(host, request, slot, unfinished, recorded)
        done.append(decide(host, slot, record))
    if unfinished and unfinished["id"] not in recorded:
        migrated = unfinished.get("migrated", [])
        why = "The run was killed."
        host.record(unfinished, result="interrupted", step=unfinished["step"], why=why, migrations=migrated)
        done.append(f"a {unfinished['kind']} of {unfinished['release']} was killed in the step {unfinished['step']}")
    if done or unfinished:
        host.restore_static()
    idle = slots.idle()
    if not slots.is_gone(idle):
        slots.retire(idle, host.project.drain_timeout_seconds)
        done.append(f"processes of release {slots.release(idle)} are stopped")
    unreversed = host.unreversed(unfinished)
    if unfinished and unreversed:
        steps = in_words(unreversed)
        done.append(f"the rollback to {unfinished['release']} was killed before it reversed {steps}")
    else:
        host.attempt.drop()
    return done


def activation(
    host: Host, request: Request, slot: str, unfinished: Json | None, recorded: list[str | None]
) -> tuple[Json, Json | None]:
    """What made the slot serve that is not recorded yet, and what is unfinished beside it."""
    slots = host.slots
    release = slots.release(slot)
    record: Json = {"slot": slot, "release": release, "environment": slots.environment(slot)}
    if unfinished and (unfinished.get("slot"), unfinished["release"]) == (slot, release):
        return {**unfinished, **record}, None
    if unfinished and unfinished["id"] in recorded:
        # It was on its way back.
        return {**record, "kind": "return", "by": unfinished["by"], "previous": unfinished["release"]}, unfinished
    previous = slots.release(slots.idle())
    return {**record, "kind": "deploy", "by": request.owner["who"], "previous": previous}, unfinished


def decide(host: Host, slot: str, record: Json) -> str:
    """Keep what a killed run switched to when it is healthy; else return to what was good before."""
    slots, other, release = host.slots, host.slots.idle(), record["release"]
    try:
        # After a boot it may only just be starting.
        slots.require_ready(slot, host.probe)
        slots.complete(slot, host.probe, host.project.grace_seconds)
    except UserError as refused:
        good = host.history.latest()
        if (good.get("slot"), good.get("release")) == (other, slots.release(other)):
            try:
                host.bring_back(other)
            except UserError as trouble:
                # Whatever this run brings may be what heals it.
                return (
                    f"release {release}, which a killed run switched to, is not healthy ({refused}), nor "
                    f"is release {good['release']} ({trouble})"
                )
            slots.stop(slot)
        else:
            slots.abandon(slot, None)
        host.record(record, result="returned", step="switch", why=str(refused))
        return f"release {release}, which a killed run switched to, was not healthy and is given up"
    host.record(record, result="good", migrations=record.get("migrated", []))
    return f"release {release}, which a killed run switched to, is healthy and stays"


# --- from a run that gives up


def abort(host: Host, request: Request) -> Json:
    """Give up: what ran before serves, the half-made release is gone, its log stays, nobody is locked out. A
    release that serves everywhere stays, and the next run finishes what was left."""
    if not host.lease.belongs_to(request.owner["token"]):
        return {"changed": False}
    attempt = host.attempt.read()
    trouble = ""
    try:
        if attempt and not request.switched_everywhere:
            undo(host, request, attempt)
    except (UserError, OSError) as problem:
        trouble = f" It could not go back: {problem}"
    unreversed = host.unreversed(attempt)
    if not unreversed:
        host.attempt.drop()
    host.lease.drop()
    text = f"{os.uname().nodename} serves {host.slots.serving_release() or 'nothing yet'}"
    if unreversed:
        text += f", and `make rollback REVERSE=yes` has still to reverse {in_words(unreversed)}"
    if attempt:
        log = Log(host.project.root, attempt["id"])
        with contextlib.suppress(OSError):
            log.write(f"# given up in {request.failed_step}: {request.reason}")
        text += f"; the log of this attempt is {log.path}"
    return {"changed": True, "summary": f"{text}.{trouble}"}


def undo(host: Host, request: Request, attempt: Json) -> None:
    """Let serve what served before this attempt, and remove what it made."""
    slots, serving, other = host.slots, host.slots.serving(), host.slots.idle()
    if serving and attempt.get("slot") == serving:
        if host.is_recorded(serving):
            if attempt["previous"]:
                go_back(host, request, attempt, serving, other)
            return
        if attempt["previous"]:
            # It was killed in the time of grace.
            host.bring_back(other)
            slots.retire(serving, host.project.drain_timeout_seconds)
        else:
            slots.abandon(serving, None)
    elif attempt.get("slot"):
        slots.stop(attempt["slot"])
    # Before anything is written, since a full disk may be why.
    if attempt.get("built") or not host.builds.manifest(attempt["release"]):
        host.builds.discard(attempt["release"])
    host.restore_static()
    host.record(attempt, result="failed", step=request.failed_step or attempt["step"], why=request.reason)


def go_back(host: Host, request: Request, attempt: Json, serving: str, other: str) -> None:
    """Let the release serve that served before this attempt, which was recorded already."""
    host.bring_back(other)
    release = host.slots.release(other)
    record = {
        "id": attempt["id"],
        "kind": "return",
        "by": attempt["by"],
        "started": now(),
        "slot": other,
        "release": release,
        "environment": host.slots.environment(other),
        "previous": attempt["release"],
        "commit": (host.builds.manifest(release) or {}).get("commit"),
    }
    host.restore_static()
    host.record(record, result="good", step=attempt["step"], why=request.reason)
    host.slots.retire(serving, host.project.drain_timeout_seconds)
