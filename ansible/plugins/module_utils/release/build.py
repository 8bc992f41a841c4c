"""The step `build`: the release beside what runs, and what it would do to the database; in check mode, that alone."""

from __future__ import annotations

import os
import tempfile

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release import sbom
from ansible_collections.slipway.host.plugins.module_utils.release.builds import PLAN_PREFIX
from ansible_collections.slipway.host.plugins.module_utils.release.commands import run
from ansible_collections.slipway.host.plugins.module_utils.release.django import parse, refusal
from ansible_collections.slipway.host.plugins.module_utils.release.files import Json, now
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host
from ansible_collections.slipway.host.plugins.module_utils.release.log import Log
from ansible_collections.slipway.host.plugins.module_utils.release.model import Request
from ansible_collections.slipway.host.plugins.module_utils.release.venvs import Tools

# Migrations that are named before a deploy; a new database has many.
SHOWN = 12


def build(host: Host, request: Request) -> Json:
    if request.check_mode:
        return preview(host, request)
    attempt = host.owned_attempt(request)
    release, environment, slot = attempt["release"], attempt["environment"], host.slots.idle()
    is_new = host.builds.manifest(release) is None
    requirements: str | None = None
    warnings: list[str] = []
    tools = Tools(host.project.root, Log(host.project.root, attempt["id"]))
    if attempt["kind"] != "rollback":
        tools.equip("tools", request.tools_requirements)
    if is_new:
        requirements, warnings = host.builds.build(tools, release, request)
    host.frontends.place(request.frontends, environment)
    host.slots.prepare(slot, release, environment, host.frontends.folder(environment))
    host.attempt.update(slot=slot, built=is_new)
    if is_new and (commands := host.project.build_commands):
        host.builds.give(release, host.project.user)
        writable = f"ReadWritePaths={host.builds.path(release)}"
        run(host, request, "application_build_commands", commands, writable)
    step = "plan" if attempt["kind"] == "rollback" else "build" if is_new else "check"
    plan = host.django.take_step(slot, step)
    if is_new:
        about = {key: attempt[key] for key in ("commit", "ref", "by")}
        lists = {key: plan[key] for key in ("migrations", "leaves", "apps")}
        shape = host.project.shape
        host.builds.give(release, "root")
        sbom.write(release, host.builds.path(release), host.project.name)
        host.builds.finish(release, built=now(), requirements=requirements, shape=shape, **about, **lists)
    reverse = to_reverse(host, request, attempt, plan["applied"])
    require_harmless(plan["findings"], request.breaking_migrations_enabled)
    host.static.share(release)
    host.frontends.shared.share(environment)
    return {
        "changed": True,
        "pending": plan["pending"],
        "reverse": reverse,
        "summary": summary(plan, reverse),
        "warnings": warnings + plan.get("warnings", []),
    }


def require_harmless(findings: list[Json], are_accepted: bool) -> None:
    refused = [finding["text"] for finding in findings if finding["refused"]]
    if refused and not are_accepted:
        raise UserError(
            "A migration would break the release that runs until the switch, or stop what it writes:\n"
            + "\n".join(refused)
            + "\nWrite it as proposed, or accept some errors: release_breaking_migrations_enabled=true "
            "(`make deploy BREAKING=yes`)."
        )


def to_reverse(host: Host, request: Request, attempt: Json, applied: list[str]) -> list[list[str]]:
    """The commands that reverse what is applied and the wanted release does not have; or a refusal."""
    is_rollback = attempt["kind"] == "rollback"
    serving = host.builds.manifest(host.slots.serving_release()) or {}
    wanted = host.builds.manifest(attempt["release"]) or {}
    missing = (set(applied) & set(serving.get("migrations", []))) - set(wanted["migrations"])
    if not is_rollback:
        # A release may drop a whole app; that leaves its tables alone.
        missing = {name for name in missing if name.split(".")[0] in wanted["apps"]}
    apps = sorted({name.split(".")[0] for name in missing})
    steps = [[app, wanted["leaves"].get(app, "zero")] for app in apps]
    if steps and not (is_rollback and request.reverse_migrations_enabled):
        commands = "\n".join(f"  {host.project.name}-manage migrate {app} {leaf}" for app, leaf in steps)
        allow = (
            "release_reverse_migrations_enabled=true (`make rollback REVERSE=yes`) runs this after the switch"
            if is_rollback
            else "deploy a release that has them, or reverse them first"
        )
        raise UserError(
            f"The database has migrations that release {attempt['release']} does not know: "
            f"{', '.join(sorted(missing))}. To reverse them, which may delete data:\n{commands}\n{allow}."
        )
    slot = host.slots.serving()
    if steps and slot:
        host.django.take_step(slot, "reversible", TARGETS=targets(steps))
    host.attempt.update(reverse=steps)
    return steps


def targets(steps: list[list[str]]) -> str:
    """As the release's own Django reads what to reverse."""
    return " ".join(f"{app}={name}" for app, name in steps)


def summary(plan: Json, reverse: list[list[str]], packages_change: bool = False) -> str:
    """What happens to the database, for a person; empty when nothing does."""
    pending = plan["pending"]
    lines = [f"  migrates {name}" for name in pending[:SHOWN]]
    if len(pending) > SHOWN:
        lines.append(f"  and {len(pending) - SHOWN} more")
    lines += [f"  {'needs BREAKING=yes' if each['refused'] else 'note'}: {each['text']}" for each in plan["findings"]]
    lines += [f"  reverses {app} to {name}" for app, name in reverse]
    if reverse:
        lines.append("  What is reversed is not judged: read what those migrations do to tables in use.")
    if packages_change:
        lines.append("  Packages change too; their own migrations are not in this list.")
    return "\n".join(lines)


def preview(host: Host, request: Request) -> Json:
    """What would migrate, told by the new code in a folder that is removed again, if that can be told at all."""
    current, project = host.slots.current, host.project
    is_built = host.builds.manifest(request.release) is not None
    serves = os.path.exists(f"{current}/release/.venv") and os.path.exists(project.driver)
    if not serves or not (request.archive or is_built):
        return {"changed": True, "pending": [], "summary": "What it migrates can only be told on a host that serves."}
    # Not in /tmp, of which the sandbox has its own.
    with tempfile.TemporaryDirectory(prefix=PLAN_PREFIX, dir=project.root) as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the release is no secret
        code = host.builds.path(request.release)
        if not is_built:
            code = f"{folder}/code"
            host.builds.unpack(request.archive, code)
        venv = host.builds.venvs.ready(code, project.requirements_file, project.python_packages)
        # Without its own packages, those of the release that serves have to do.
        usable = venv or os.path.realpath(f"{current}/release/.venv")
        done = host.django.plan(code, usable, os.path.realpath(f"{current}/environment"))
    if done.returncode:
        # It ran without its packages or with the old environment, which a deploy brings first.
        why = refusal(done.stdout, done.stderr.splitlines())
        return {"changed": True, "pending": [], "summary": f"  What it migrates cannot be told before: {why}"}
    plan = parse(done.stdout)
    return {"changed": True, "pending": plan["pending"], "summary": summary(plan, [], packages_change=venv is None)}
