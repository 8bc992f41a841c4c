#!/usr/bin/python
"""Bring a release of a Django project to a host, step by step, so that every step can fail without harm."""

import contextlib
import datetime
import fcntl
import glob
import json
import os
import subprocess
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.builds import Builds, names, parse
from ansible_collections.slipway.host.plugins.module_utils.release.records import Attempt, History, Lease, now
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Probe, Slots, journal, systemctl

DOCUMENTATION = r"""
module: release
short_description: Bring a release to a host, or back, without losing a request
description:
  - Two slots, blue and green, each link to a release and to an environment file. C(current) links to the slot that
    serves. The idle slot is pointed at the wanted release, started and asked for its readiness through its own
    socket; then C(current) is replaced in one rename, the slot is watched for a time of grace, the old slot's queue
    runs empty and its processes stop.
  - Whatever fails before the rename leaves the running slot untouched, and what fails in the time of grace gives it
    the traffic back. What a killed run left is cleared up when the next one begins.
options:
  step:
    type: str
    required: true
    choices: [read, begin, build, migrate, switch, reverse, finish, abort, unlock]
    description: The step to take. All but C(read) and C(begin) want the lock that C(begin) took.
  project:
    type: dict
    required: true
    description: What stays the same from step to step.
    options:
      name: {type: str, required: true, description: Beginning of the units' names.}
      root: {type: path, required: true, description: Folder with releases and slots.}
      user: {type: str, required: true, description: System user of the processes.}
      processes: {type: list, elements: str, required: true, description: Names of the processes to run here.}
      known_processes: {type: list, elements: str, required: true, description: "All that are defined, also elsewhere."}
      commands: {type: list, elements: str, required: true, description: What the processes run.}
      source_folder: {type: str, required: true, description: Folder of the source that the release is made of.}
      requirements_file: {type: str, required: true, description: "Of any kind, relative to the project's folder."}
      static_folder: {type: str, required: true, description: "STATIC_ROOT, relative to the release."}
      media_folder: {type: str, required: true, description: "Link to the project's media, relative to the release."}
      persistent_paths: {type: list, elements: str, required: true, description: Links to what outlives releases.}
      health_host: {type: str, required: true, description: Host header of the readiness probe.}
      health_path: {type: str, required: true, description: Path of the readiness probe.}
      health_timeout_seconds: {type: int, required: true, description: How long the release may take to be ready.}
      grace_seconds: {type: int, required: true, description: How long a release is watched after the switch.}
      drain_timeout_seconds: {type: int, required: true, description: How long the old slot's queue may take to empty.}
      lock_timeout_seconds: {type: int, required: true, description: How long a migration waits for a lock.}
  owner: {type: dict, description: "Token, person and machine behind this run; the action plugin adds it."}
  break_token: {type: str, description: "Token of an owner that is known to be dead, or whose lock is to be freed."}
  kind: {type: str, choices: [converge, deploy, rollback], description: What the attempt is.}
  release: {type: str, description: Name of the release; with C(rollback) empty for the last good one.}
  commit: {type: str, description: What it was made of.}
  ref: {type: str, description: How it was asked for.}
  environment: {type: path, description: The environment file to run it with.}
  archive: {type: path, description: The release's files on this host; the action plugin brings them.}
  tools_requirements: {type: str, description: Compiled requirements of what builds a release.}
  poetry_requirements: {type: str, description: Compiled requirements of what reads a poetry.lock.}
  breaking_migrations_enabled: {type: bool, description: Whether migrations may break the running release.}
  reverse_migrations_enabled: {type: bool, description: Whether a rollback reverses what its target does not have.}
  attempts_count: {type: int, description: How often a migration that waited in vain is tried.}
  retention_count: {type: int, description: How many releases stay.}
  static_retention_days: {type: int, description: How long static files of removed releases stay.}
  reason: {type: str, description: Why the attempt is given up.}
  failed_step: {type: str, description: Where it failed.}
  stands: {type: bool, description: Whether the release serves everywhere already, so that it is not given up.}
author: Slipway contributors
"""


# Migrations that are named before a deploy; a new database has many.
SHOWN = 12
# What decides, beside its source, what a release is; its name does not tell.
SHAPE = ("source_folder", "requirements_file", "static_folder", "media_folder", "persistent_paths")


def duration(since):
    return round(time.time() - datetime.datetime.fromisoformat(since).timestamp(), 1)


def summary(found, reverse, guess=False):
    """What happens to the database, for a person; empty when nothing does."""
    pending = found["pending"]
    lines = [f"  migrates {name}" for name in pending[:SHOWN]]
    if len(pending) > SHOWN:
        lines.append(f"  and {len(pending) - SHOWN} more")
    lines += [f"  may break the running release: {each['migration']}: {each['text']}" for each in found["findings"]]
    lines += [f"  reverses {app} to {name}" for app, name in reverse]
    if guess:
        lines.append("  Packages change too; their own migrations are not in this list.")
    return "\n".join(lines)


class Release:
    """One step of an attempt on this host."""

    def __init__(self, parameters, check_mode):
        self.__dict__.update(parameters, **parameters["project"])
        self.check_mode = check_mode
        self.slots = Slots(self.name, self.root, self.processes, self.known_processes)
        links = dict.fromkeys(self.persistent_paths, "data")
        if self.media_folder:
            links[self.media_folder] = ""
        self.builds = Builds(self.root, self.user, self.static_folder, links)
        self.history = History(self.root)
        self.lease = Lease(self.root)
        self.attempt = Attempt(self.root)
        self.probe = Probe(self.health_host, self.health_path, self.health_timeout_seconds, self.grace_seconds)

    # --- what is so

    def present(self):
        """What serves, for a person who compares."""
        slot = self.slots.serving()
        return f"release {self.slots.release(slot)}, configuration {self.slots.environment(slot)}\n" if slot else ""

    def is_recorded(self, slot):
        """Whether the slot that serves was found healthy, and written down."""
        last = (self.history.line() or [{}])[-1]
        wanted = (slot, self.slots.release(slot), self.slots.environment(slot))
        return (last.get("slot"), last.get("release"), last.get("environment")) == wanted

    def read(self):
        """What serves and who holds the lock; changes nothing."""
        slot = self.slots.serving()
        known = self.builds.metadata(self.slots.release(slot)) or {}
        return {
            "release": self.slots.release(slot),
            "commit": known.get("commit"),
            "holder": self.lease.holder(),
            "history": self.history.read()[-20:],
        }

    # --- begin

    def begin(self):
        if not self.check_mode and not os.path.exists(f"/etc/systemd/system/{self.name}-release@.service"):
            raise UserError("This host was never provisioned: run ansible/site.yml (`make provision`) first.")
        if not self.check_mode and self.slots.unknown():
            raise UserError(
                f"application_processes has {', '.join(self.slots.unknown())}, which this host does not have yet: "
                "run ansible/site.yml (`make provision`) first."
            )
        holder = self.lease.holder()
        if holder and holder["token"] not in (self.owner["token"], self.break_token) and not self.check_mode:
            return {"held": holder}
        left = self.attempt.read()
        recovered = [] if self.check_mode else self.recover(left)
        unreversed = self.unreversed(left)
        wanted = self.target(left) if self.kind == "rollback" else {}
        slot = self.slots.serving()
        # Another run may have released since this one looked.
        keeps = self.slots.release(slot) if self.kind == "converge" else None
        release = wanted.get("release") or keeps or self.release
        environment = wanted.get("path") or self.environment
        known = self.builds.metadata(release)
        if self.kind == "deploy" and known:
            self.require_shape(known)
        if (
            slot
            and self.slots.runs(slot, release, os.path.basename(environment))
            and self.slots.is_settled()
            and self.is_recorded(slot)
        ):
            answer = {"changed": bool(recovered), "needed": False, "release": release, "recovered": recovered}
            if self.check_mode:
                return answer
            if unreversed and self.kind == "rollback" and self.reverse_migrations_enabled:
                recovered.append("this run reverses it")
                self.lease.take(self.owner["token"], self.owner["who"], f"{self.kind} of {release}")
                return {**answer, "reverse": unreversed}
            if unreversed and self.kind == "converge":
                recovered.append("`make rollback REVERSE=yes` still reverses it")
            else:
                self.attempt.drop()
            if holder:
                self.lease.drop()
            return answer
        after = f"release {release}, configuration {os.path.basename(environment)}\n"
        answer = {
            "changed": True,
            "needed": True,
            "release": release,
            "complete": known is not None,
            "previous": self.slots.release(slot),
            "recovered": recovered,
            "diff": {"before": self.present(), "after": after},
        }
        if self.check_mode:
            return answer
        if not known:
            self.builds.require_room()
        self.lease.take(self.owner["token"], self.owner["who"], f"{self.kind} of {release}")
        started = now()
        self.attempt.write(
            {
                "id": f"{started[:19].replace(':', '').replace('-', '')}Z-{release}",
                "kind": self.kind if self.kind != "converge" else "deploy",
                "release": release,
                "commit": (known or {}).get("commit", self.commit),
                "ref": self.ref,
                "environment": environment,
                "previous": self.slots.release(slot),
                "by": self.owner["who"],
                "started": started,
                "step": "begin",
            }
        )
        return answer

    def shape(self):
        return {name: getattr(self, name) for name in SHAPE}

    def require_shape(self, known):
        """Refuse to deploy a release again that was built with other settings, since it would stay as it is."""
        for name, value in self.shape().items():
            before = known.get("shape", {}).get(name, value)
            if before != value:
                raise UserError(
                    f"Release {known['release']} was built with application_{name} {json.dumps(before)}, which is "
                    f"{json.dumps(value)} now: deploy another commit, so that it is built anew "
                    "(`git commit --allow-empty` makes one). Nothing was changed."
                )

    def target(self, left):
        """The release to go back to, with the environment that it ran with. A killed rollback keeps its target."""
        line = self.history.line()
        good = self.history.good()
        named = self.release or (left["release"] if left and left["kind"] == "rollback" else None)
        if named:
            found = [record for record in good if record["release"] == named]
            if not found:
                some = ", ".join(dict.fromkeys(record["release"] for record in reversed(good))) or "none yet"
                raise UserError(f"Release {named} never ran well on this host. Those that did: {some}.")
            candidates = found[-1:]
        else:
            candidates = line[:-1][::-1]
        for record in candidates:
            path = f"/etc/{self.name}/{record['environment']}"
            if self.builds.metadata(record["release"]) and os.path.exists(path):
                return {**record, "path": path}
        if named:
            raise UserError(
                f"Release {named} or the configuration it ran with is no longer on this host: "
                f"deploy it again (REF={candidates[0].get('commit') or named}), with today's configuration."
            )
        raise UserError("There is no earlier good release on this host to go back to. Nothing was changed.")

    def recover(self, left):
        """Clear up what a killed run left, so that what serves is healthy, recorded and alone."""
        slot, other = self.slots.serving(), self.slots.idle()
        # A step lives on when its run is killed. First of all, since a full disk may be why.
        self.slots.stop([self.slots.step(other)])
        half_made = [
            name
            for name in names(os.path.join(self.root, "releases"))
            if not self.builds.metadata(name) and name != self.slots.release(slot)
        ]
        for name in half_made:
            self.builds.discard(name)
        done = [f"the half-made release {name} is removed" for name in half_made]
        recorded = [record.get("id") for record in self.history.good()]
        if slot and not self.is_recorded(slot):
            record = {"slot": slot, "release": self.slots.release(slot), "environment": self.slots.environment(slot)}
            if left and (left.get("slot"), left["release"]) == (slot, record["release"]):
                record, left = {**left, **record}, None
            elif left and left["id"] in recorded:
                # It was on its way back.
                record.update({"kind": "return", "by": left["by"], "previous": left["release"]})
            else:
                record.update({"kind": "deploy", "by": self.owner["who"], "previous": self.slots.release(other)})
            done.append(self.decide(slot, other, record))
        if left and left["id"] not in recorded:
            migrated = left.get("migrated", [])
            why = "The run was killed."
            self.write_down(left, result="interrupted", step=left["step"], why=why, migrations=migrated)
            done.append(f"a {left['kind']} of {left['release']} was killed in the step {left['step']}")
        if done or left:
            self.restore_static()
        idle = self.slots.idle()
        if not self.slots.is_gone(idle):
            self.slots.retire(idle, self.drain_timeout_seconds)
            done.append(f"processes of release {self.slots.release(idle)} are stopped")
        if unreversed := self.unreversed(left):
            steps = ", ".join(f"{app} to {name}" for app, name in unreversed)
            done.append(f"the rollback to {left['release']} was killed before it reversed {steps}")
        else:
            self.attempt.drop()
        return done

    def unreversed(self, left):
        """What a killed run had still to reverse after its switch, which stands."""
        slot = self.slots.serving()
        stands = left and slot and (left.get("slot"), left["release"]) == (slot, self.slots.release(slot))
        return left.get("reverse", []) if stands and self.is_recorded(slot) else []

    def decide(self, slot, other, record):
        """Keep what a killed run switched to when it is healthy; else return to what was good before."""
        try:
            # After a boot it may only just be starting.
            self.slots.require_ready(slot, self.probe)
            self.slots.complete(slot, self.probe)
        except UserError as refused:
            good = (self.history.line() or [{}])[-1]
            if (good.get("slot"), good.get("release")) == (other, self.slots.release(other)):
                try:
                    self.bring_back(other)
                except UserError as trouble:
                    # Whatever this run brings may be what heals it.
                    return (
                        f"release {record['release']}, which a killed run switched to, is not healthy ({refused}), nor "
                        f"is release {good['release']} ({trouble})"
                    )
                self.slots.stop(self.slots.known(slot))
            else:
                self.slots.abandon(slot, None)
            self.write_down(record, result="returned", step="switch", why=str(refused))
            return f"release {record['release']}, which a killed run switched to, was not healthy and is given up"
        self.write_down(record, result="good", migrations=record.get("migrated", []))
        return f"release {record['release']}, which a killed run switched to, is healthy and stays"

    def bring_back(self, slot):
        """Let a release serve again that was found good before: no time of grace."""
        self.slots.open(slot, self.probe)
        self.probe.grace_seconds = 0
        self.slots.switch(slot, self.probe)

    def write_down(self, attempt, **outcome):
        keys = ("id", "kind", "release", "commit", "ref", "previous", "by", "started")
        record = {key: attempt.get(key) for key in keys}
        record["environment"] = os.path.basename(attempt.get("environment") or "")
        record["slot"] = attempt.get("slot")
        if started := attempt.get("started"):
            record["seconds"] = duration(started)
        self.history.append(**record, finished=now(), **outcome)

    # --- build

    def owned(self, step):
        """The present attempt; refuses when the lock is not ours any more."""
        self.lease.require(self.owner["token"])
        if not self.attempt.read():
            raise UserError(
                f"{self.attempt.path}, which says what this run does, cannot be read any more: start it again."
            )
        self.attempt.update(step=step)
        return self.attempt.read()

    def build(self):
        if self.check_mode:
            return self.preview()
        attempt = self.owned("build")
        release, slot = attempt["release"], self.slots.idle()
        known = self.builds.metadata(release)
        requirements, warnings = None, []
        if not known:
            tools = {"tools": self.tools_requirements, "poetry": self.poetry_requirements}
            requirements, warnings = self.builds.build(
                attempt["id"], release, self.archive, self.requirements_file, tools, self.commands
            )
        self.slots.prepare(slot, release, attempt["environment"])
        self.attempt.update(slot=slot, built=not known)
        found = self.drive(slot, "plan" if attempt["kind"] == "rollback" else "check" if known else "build")
        if not known:
            about = {key: attempt[key] for key in ("commit", "ref", "by")}
            lists = {key: found[key] for key in ("migrations", "leaves", "apps")}
            self.builds.finish(release, built=now(), requirements=requirements, shape=self.shape(), **about, **lists)
        reverse = self.to_reverse(attempt, found)
        self.require_harmless(found["findings"])
        self.builds.share_static(release)
        text = summary(found, reverse)
        warnings += found.get("warnings", [])
        return {"changed": True, "pending": found["pending"], "reverse": reverse, "summary": text, "warnings": warnings}

    def require_harmless(self, findings):
        if findings and not self.breaking_migrations_enabled:
            raise UserError(
                "A migration would break the release that runs until the switch:\n"
                + "\n".join(f"{finding['migration']}: {finding['text']}" for finding in findings)
                + "\nMake two releases of it (first stop using it, then remove it; first a default, then the rest), "
                "or accept some errors: release_breaking_migrations_enabled=true (`make deploy BREAKING=yes`)."
            )

    def to_reverse(self, attempt, found):
        """The commands that reverse what is applied and the wanted release does not have; or a refusal."""
        serving = self.builds.metadata(self.slots.release(self.slots.serving())) or {}
        wanted = self.builds.metadata(attempt["release"])
        missing = (set(found["applied"]) & set(serving.get("migrations", []))) - set(wanted["migrations"])
        if attempt["kind"] != "rollback":
            # A release may drop a whole app; that leaves its tables alone.
            missing = {name for name in missing if name.split(".")[0] in wanted["apps"]}
        apps = sorted({name.split(".")[0] for name in missing})
        steps = [[app, wanted["leaves"].get(app, "zero")] for app in apps]
        if steps and not (attempt["kind"] == "rollback" and self.reverse_migrations_enabled):
            commands = "\n".join(f"  {self.name}-manage migrate {app} {leaf}" for app, leaf in steps)
            allow = (
                "release_reverse_migrations_enabled=true (`make rollback REVERSE=yes`) runs this after the switch"
                if attempt["kind"] == "rollback"
                else "deploy a release that has them, or reverse them first"
            )
            raise UserError(
                f"The database has migrations that release {attempt['release']} does not know: "
                f"{', '.join(sorted(missing))}. To reverse them, which may delete data:\n{commands}\n{allow}."
            )
        if steps:
            self.drive(self.slots.serving(), "reversible", TARGETS=" ".join(map("=".join, steps)))
        self.attempt.update(reverse=steps)
        return steps

    def drive(self, slot, step, **settings):
        """Let the release's own Django take a step, sandboxed like its processes; returns what it answers."""
        folder = f"/run/{self.name}"
        os.makedirs(folder, mode=0o755, exist_ok=True)
        values = {"STEP": step, **self.settings(), **settings}
        with open(f"{folder}/{slot}.step", "w") as file:
            file.writelines(f'{name}="{value}"\n' for name, value in values.items())
        unit = self.slots.step(slot)
        # One that still runs would be joined, and answer what it was asked before.
        self.slots.stop([unit])
        failed = systemctl("start", unit).returncode
        lines = journal(unit)
        if attempt := self.attempt.read():
            self.builds.log(attempt["id"], "\n".join([f"# {unit}: {step}", *lines]))
        if failed:
            systemctl("reset-failed", unit)
            raise UserError(f"Release {self.slots.release(slot)} failed in the step `{step}`.", lines)
        with open(f"{folder}/{slot}.json") as file:
            return parse(file.read())

    def settings(self):
        """What a step needs to know beside its name."""
        serving = self.builds.metadata(self.slots.release(self.slots.serving())) or {}
        return {
            "PGOPTIONS": f"-c lock_timeout={self.lock_timeout_seconds * 1000}",
            "LINTER": (glob.glob(f"{self.root}/tools/lib/python*/site-packages") or [""])[0],
            "LINTED_APPS": " ".join(serving.get("apps", [])),
            "PROJECT_DOMAIN": self.health_host,
            "PROJECT_ROOT": self.root,
            "STATIC_FOLDER": self.static_folder,
        }

    def preview(self):
        """What would migrate, told by the new code in a folder that is removed again, if that can be told at all."""
        current = os.path.join(self.root, "current")
        driver = f"/usr/local/lib/{self.name}/django_release.py"
        known = self.builds.metadata(self.release)
        if not os.path.exists(f"{current}/release/.venv") or not os.path.exists(driver) or not (self.archive or known):
            return {
                "changed": True,
                "pending": [],
                "summary": "What it migrates can only be told on a host that serves.",
            }
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            os.chmod(folder, 0o755)  # noqa: S103 - the release is no secret
            code = self.builds.release(self.release)
            if not known:
                code = f"{folder}/code"
                self.builds.unpack(self.archive, code)
            venv = self.builds.known_venv(code, self.requirements_file)
            guess = not venv or not os.path.exists(f"{venv}/.complete")
            if guess:
                venv = os.path.realpath(f"{current}/release/.venv")
            words = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--property=User={self.user}"]
            words += [f"--property=WorkingDirectory={code}", "--property=NoNewPrivileges=yes", "--setenv=STEP=plan"]
            words += [f"--property=EnvironmentFile={os.path.realpath(f'{current}/environment')}"]
            words += [f"--setenv={name}={value}" for name, value in self.settings().items()]
            words += [f"{venv}/bin/python", driver]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            # It ran without its packages or with the old environment, which a deploy brings first.
            why = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            return {"changed": True, "pending": [], "summary": f"  What it migrates cannot be told before: {why}"}
        found = parse(done.stdout)
        return {"changed": True, "pending": found["pending"], "summary": summary(found, [], guess)}

    # --- migrate, switch, reverse

    def migrate(self):
        self.owned("migrate")
        found = self.drive(self.slots.idle(), "migrate", ATTEMPTS=self.attempts_count or 5)
        self.attempt.update(migrated=found["applied"])
        return {"changed": bool(found["applied"]), "applied": found["applied"]}

    def switch(self):
        attempt = self.owned("switch")
        slot, old = self.slots.idle(), self.slots.serving()
        if attempt.get("slot") != slot:
            raise UserError("The idle slot was not built by this run: run the same command again.")
        try:
            began = time.monotonic()
            self.slots.open(slot, self.probe)
            ready = time.monotonic()
            self.slots.switch(slot, self.probe)
        except UserError:
            self.slots.stop(self.slots.known(slot))
            raise
        watched = time.monotonic()
        if previous := self.slots.release(old):
            self.builds.touch_static(previous)
        self.write_down(
            attempt, result="good", migrations=attempt.get("migrated", []), grace_seconds=round(watched - ready, 1)
        )
        # What is not stopped here, the next run stops.
        if old:
            self.slots.retire(old, self.drain_timeout_seconds)
        seconds = {"ready": ready - began, "grace": watched - ready, "retire": time.monotonic() - watched}
        return {"changed": True, "seconds": {name: round(value, 1) for name, value in seconds.items()}}

    def reverse(self):
        """Reverse migrations with the code that has them, which is now in the idle slot."""
        attempt = self.owned("reverse")
        targets = " ".join(map("=".join, attempt["reverse"]))
        found = self.drive(self.slots.idle(), "reverse", TARGETS=targets, ATTEMPTS=self.attempts_count or 5)
        self.attempt.update(reverse=[])
        return {"changed": True, "reversed": found["reversed"]}

    # --- the end

    def finish(self):
        self.owned("finish")
        line = self.history.line()
        good = self.history.good()[::-1]
        # The present one, the one to go back to and the latest; whatever their age or time stamps.
        kept = list(dict.fromkeys([r["release"] for r in line[-2:]] + [r["release"] for r in good]))
        releases = set(kept[: max(self.retention_count, 2)]) | {self.slots.release(self.slots.serving())}
        environments = {
            f"/etc/{self.name}/{record['environment']}" for record in good if record["release"] in releases
        } | {os.path.realpath(self.slots.path(self.slots.serving(), "environment"))}
        gone, warnings = [], []
        try:
            gone = self.builds.prune(releases, environments, self.static_retention_days)
        except OSError as problem:
            warnings = [f"Old releases were not all removed: {problem.strerror}: {problem.filename}."]
        self.attempt.drop()
        self.lease.drop()
        return {"changed": bool(gone), "pruned": gone, "warnings": warnings}

    def abort(self):
        """Give up: what ran before serves, the half-made release is gone, its log stays, nobody is locked out. A
        release that serves everywhere stands, and the next run finishes what was left."""
        if not self.lease.belongs_to(self.owner["token"]):
            return {"changed": False}
        attempt = self.attempt.read() or {}
        trouble = ""
        try:
            if attempt and not self.stands:
                self.undo(attempt)
        except (UserError, OSError) as problem:
            trouble = f" It could not go back: {problem}"
        unreversed = self.unreversed(attempt)
        if not unreversed:
            self.attempt.drop()
        self.lease.drop()
        text = f"{os.uname().nodename} serves {self.slots.release(self.slots.serving()) or 'nothing yet'}"
        if unreversed:
            steps = ", ".join(f"{app} to {name}" for app, name in unreversed)
            text += f", and `make rollback REVERSE=yes` has still to reverse {steps}"
        if attempt:
            with contextlib.suppress(OSError):
                self.builds.log(attempt["id"], f"# given up in {self.failed_step}: {self.reason}")
            text += f"; the log of this attempt is {self.builds.log_path(attempt['id'])}"
        return {"changed": True, "summary": f"{text}.{trouble}"}

    def undo(self, attempt):
        """Let serve what served before this attempt, and remove what it made."""
        serving, back = self.slots.serving(), self.slots.idle()
        switched = bool(serving) and attempt.get("slot") == serving
        if switched and self.is_recorded(serving):
            if attempt["previous"]:
                self.go_back(attempt)
            return
        if switched and attempt["previous"]:
            # It was killed in the time of grace.
            self.bring_back(back)
            self.slots.retire(serving, self.drain_timeout_seconds)
        elif switched:
            self.slots.abandon(serving, None)
        elif attempt.get("slot"):
            self.slots.stop(self.slots.known(attempt["slot"]))
        # Before anything is written, since a full disk may be why.
        if attempt.get("built") or not self.builds.metadata(attempt["release"]):
            self.builds.discard(attempt["release"])
        self.restore_static()
        self.write_down(attempt, result="failed", step=self.failed_step or attempt["step"], why=self.reason)

    def restore_static(self):
        """Static files without a hash in their name are again those of the release that serves."""
        if release := self.slots.release(self.slots.serving()):
            self.builds.share_static(release)

    def go_back(self, attempt):
        """Let the release serve that served before this attempt."""
        slot, back = self.slots.serving(), self.slots.idle()
        self.bring_back(back)
        record = {"id": attempt["id"], "kind": "return", "by": attempt["by"], "started": now(), "slot": back}
        record.update({"release": self.slots.release(back), "environment": self.slots.environment(back)})
        record.update({"previous": attempt["release"], "commit": self.builds.metadata(record["release"])["commit"]})
        self.restore_static()
        self.write_down(record, result="good", step=attempt["step"], why=self.reason)
        self.slots.retire(slot, self.drain_timeout_seconds)

    def unlock(self):
        holder = self.lease.holder()
        if holder and holder["token"] != self.break_token:
            raise UserError(f"{holder['who']} has the lock by now, for a {holder['what']}. It was left as it is.")
        if holder and not self.check_mode:
            self.lease.drop()
        return {"changed": bool(holder), "holder": holder}


def main():
    text, whole, yes = {"type": "str"}, {"type": "int"}, {"type": "bool"}
    module = AnsibleModule(
        argument_spec={
            "step": {
                "type": "str",
                "required": True,
                "choices": [
                    *("read", "begin", "build", "migrate", "switch", "reverse", "finish", "abort", "unlock"),
                ],
            },
            "project": {
                "type": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "root": {"type": "path", "required": True},
                    "user": {"type": "str", "required": True},
                    "processes": {"type": "list", "elements": "str", "required": True},
                    "known_processes": {"type": "list", "elements": "str", "required": True},
                    "commands": {"type": "list", "elements": "str", "required": True},
                    "source_folder": {"type": "str", "required": True},
                    "requirements_file": {"type": "str", "required": True},
                    "static_folder": {"type": "str", "required": True},
                    "media_folder": {"type": "str", "required": True},
                    "persistent_paths": {"type": "list", "elements": "str", "required": True},
                    "health_host": {"type": "str", "required": True},
                    "health_path": {"type": "str", "required": True},
                    "health_timeout_seconds": {"type": "int", "required": True},
                    "grace_seconds": {"type": "int", "required": True},
                    "drain_timeout_seconds": {"type": "int", "required": True},
                    "lock_timeout_seconds": {"type": "int", "required": True},
                },
            },
            "owner": {"type": "dict", "no_log": False},
            "break_token": {"type": "str", "no_log": False},
            "kind": {"type": "str", "choices": ["converge", "deploy", "rollback"]},
            "release": text,
            "commit": text,
            "ref": text,
            "environment": {"type": "path"},
            "archive": {"type": "path"},
            "tools_requirements": text,
            "poetry_requirements": text,
            "breaking_migrations_enabled": yes,
            "reverse_migrations_enabled": yes,
            "attempts_count": whole,
            "retention_count": whole,
            "static_retention_days": whole,
            "reason": text,
            "failed_step": text,
            "stands": yes,
        },
        supports_check_mode=True,
    )
    # What serves comes first, as it does before builds.
    os.nice(5)
    release = Release(module.params, module.check_mode)
    step = module.params["step"]
    if step == "read" or module.check_mode:
        attempt(module, release, step)
    if not os.path.isdir(release.root):
        module.fail_json(msg="This host was never provisioned: run ansible/site.yml (`make provision`) first.")
    # Held for one step only, by its process: it keeps a step that outlived its run apart from the next run's.
    with os.fdopen(os.open(os.path.join(release.root, "lock"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = release.lease.holder() or {"who": "a run", "what": "a step that still runs", "since": now()}
            # Without the token, since the step goes on even where its run is dead.
            module.exit_json(held={key: holder[key] for key in ("who", "what", "since")})
        attempt(module, release, step)


def attempt(module, release, step):
    try:
        result = getattr(release, step)()
        for warning in result.pop("warnings", []):
            module.warn(warning)
        module.exit_json(**{"changed": False, **result})
    except UserError as refused:
        module.fail_json(msg=str(refused), journal=refused.journal)
    except OSError as problem:
        module.fail_json(msg=f"{problem.strerror or problem}: {problem.filename or release.root}.", journal=[])


if __name__ == "__main__":
    main()
