"""The step `begin`: what is to run here, whether anything is to be done, and the lock."""

from __future__ import annotations

import json
import os
import re

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import systemd
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host
from ansible_collections.slipway.host.plugins.module_utils.release.model import Request
from ansible_collections.slipway.host.plugins.module_utils.release.recovery import recover


def begin(host: Host, request: Request) -> Json:
    if not request.check_mode:
        require_provisioned(host, request)
    holder = host.lease.holder()
    if holder and holder["token"] not in (request.owner["token"], request.break_token) and not request.check_mode:
        return {"held": holder}
    unfinished = host.attempt.read()
    recovered = [] if request.check_mode else recover(host, request, unfinished)
    unreversed = host.unreversed(unfinished)
    release, environment = wanted(host, request, unfinished)
    manifest = host.builds.manifest(release)
    if request.kind == "deploy" and manifest:
        require_shape(host, manifest)
    if request.kind != "rollback" and not request.check_mode:
        require_packages(host)
    if runs_well(host, release, environment):
        return keep(host, request, release, recovered, unreversed)
    previous = host.slots.serving_release()
    answer = {
        "changed": True,
        "needed": True,
        "release": release,
        "complete": manifest is not None,
        "has_frontends": host.frontends.are_here(environment),
        "previous": previous,
        "recovered": recovered,
        "diff": {"before": present(host), "after": described(release, os.path.basename(environment))},
    }
    if request.check_mode:
        return answer
    if not manifest:
        host.builds.require_room()
    lock(host, request, release)
    started = now()
    host.attempt.write(
        {
            "id": f"{started[:19].replace(':', '').replace('-', '')}Z-{release}",
            "kind": request.kind if request.kind != "converge" else "deploy",
            "release": release,
            "commit": (manifest or {}).get("commit", request.commit),
            "ref": request.ref,
            "environment": environment,
            "previous": previous,
            "by": request.owner["who"],
            "started": started,
            "step": "begin",
        }
    )
    return answer


def require_provisioned(host: Host, request: Request) -> None:
    if not host.slots.is_provisioned():
        raise UserError("This host was never provisioned: run ansible/site.yml (`make provision`) first.")
    if missing := host.slots.missing():
        raise UserError(
            f"application_processes has {', '.join(missing)}, which this host does not have yet: "
            "run ansible/site.yml (`make provision`) first."
        )
    # While provisioning, the proxy comes after the release.
    if request.kind != "converge" and host.slots.has_web and not os.path.exists(host.project.facts):
        raise UserError(
            "nginx serves no site of this project here, since this host was not provisioned to the end: run "
            "ansible/site.yml (`make provision`), which goes on where it failed. Nothing was changed."
        )


def require_packages(host: Host) -> None:
    """Refuse a build that would lack packages of the distribution, which may be known under another's name."""
    if not host.project.packages:
        return
    shown = systemd.run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Provides}\n").stdout
    lines = [line.split(maxsplit=1) for line in shown.splitlines() if line.startswith("installed ")]
    known = {name for _, names in lines for name in re.findall(r"[a-z0-9][a-z0-9+.-]+", names)}
    if missing := [name for name in host.project.packages if re.split(r"[=:/]", name)[0] not in known]:
        raise UserError(
            f"application_packages has {', '.join(missing)}, which this host does not have yet: "
            "run ansible/site.yml (`make provision`) first."
        )


def wanted(host: Host, request: Request, unfinished: Json | None) -> tuple[str, str]:
    """The release that is to run, and its environment file."""
    if request.kind == "rollback":
        return target(host, request, unfinished)
    # Another run may have released since this one looked.
    running = host.slots.serving_release() if request.kind == "converge" else None
    return running or request.release, request.environment


def runs_well(host: Host, release: str, environment: str) -> bool:
    """Whether exactly this serves already, and nothing else runs."""
    slot = host.slots.serving()
    return (
        slot is not None
        and host.slots.runs(slot, release, os.path.basename(environment))
        and host.slots.is_settled(slot)
        and host.is_recorded(slot)
    )


def keep(host: Host, request: Request, release: str, recovered: list[str], unreversed: list[list[str]]) -> Json:
    """Nothing to do, but perhaps what a killed rollback had still to reverse."""
    answer = {"changed": bool(recovered), "needed": False, "release": release, "recovered": recovered}
    if request.check_mode:
        return answer
    if unreversed and request.kind == "rollback" and request.reverse_migrations_enabled:
        recovered.append("this run reverses it")
        lock(host, request, release)
        return {**answer, "reverse": unreversed}
    if unreversed and request.kind == "converge":
        recovered.append("`make rollback REVERSE=yes` still reverses it")
    else:
        host.attempt.drop()
    host.lease.drop()
    return answer


def lock(host: Host, request: Request, release: str) -> None:
    host.lease.take(request.owner["token"], request.owner["who"], f"{request.kind} of {release}")


def present(host: Host) -> str:
    """What serves, for a person who compares."""
    slot = host.slots.serving()
    return described(host.slots.release(slot), host.slots.environment(slot)) if slot else ""


def described(release: str | None, environment: str | None) -> str:
    return f"release {release}, configuration {environment}\n"


def require_shape(host: Host, manifest: Json) -> None:
    """Refuse to deploy a release again that was built with other settings, since it would stay as it is."""
    for name, value in host.project.shape.items():
        before = manifest.get("shape", {}).get(name, value)
        if before != value:
            raise UserError(
                f"Release {manifest['release']} was built with application_{name} {json.dumps(before)}, which is "
                f"{json.dumps(value)} now: deploy another commit, so that it is built anew "
                "(`git commit --allow-empty` makes one). Nothing was changed."
            )


def target(host: Host, request: Request, unfinished: Json | None) -> tuple[str, str]:
    """The release to go back to, with the environment that it ran with. A killed rollback keeps its target."""
    good = host.history.good()
    named = request.release
    if not named and unfinished and unfinished["kind"] == "rollback":
        named = unfinished["release"]
    if named:
        candidates = [record for record in good if record["release"] == named][-1:]
        if not candidates:
            some = ", ".join(dict.fromkeys(record["release"] for record in reversed(good))) or "none yet"
            raise UserError(f"Release {named} never ran well on this host. Those that did: {some}.")
    else:
        candidates = host.history.activations()[:-1][::-1]
    for record in candidates:
        path = f"{host.project.environment_folder}/{record['environment']}"
        if host.builds.manifest(record["release"]) and os.path.exists(path):
            return record["release"], path
    if named:
        raise UserError(
            f"Release {named} or the configuration it ran with is no longer on this host: "
            f"deploy it again (REF={candidates[0].get('commit') or named}), with today's configuration."
        )
    raise UserError("There is no earlier good release on this host to go back to. Nothing was changed.")
