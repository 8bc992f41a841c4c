"""A host on which the steps of a release are tried: real folders, and a systemd that is played.

The fixture is named after the project, `shop`: `host` is testinfra's.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release import files, log, model, probe, slots, systemd
from ansible_collections.slipway.host.plugins.module_utils.release.engine import STEPS
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host

Json = dict[str, Any]
PROCESSES = ["web", "worker", "beat"]
EMPTY = {"str": "", "path": "", "int": 0, "bool": False, "list": [], "dict": {}}
# Every field has a value, so that one more needs no line here.
PROJECT = {
    **{name: EMPTY[option["type"]] for name, option in model.options(model.Project).items()},
    "name": "shop",
    "user": "root",
    "processes": PROCESSES,
    "kinds": {name: name for name in PROCESSES},
    "requirements_file": "requirements.txt",
    "static_folder": "staticfiles",
    "health_host": "shop.example",
    "health_path": "/",
    "health_timeout_seconds": 1,
    "lock_timeout_seconds": 1,
}
ME = {"token": "here 1 1", "who": "ada@desk"}
# What a release's Django answers in any step, unless a test says otherwise.
PLAN: Json = {
    **{"pending": [], "findings": [], "applied": [], "migrations": [], "leaves": {}, "apps": []},
    **{"reversed": [], "warnings": []},
}


def make_project(root: Path, **changes: Any) -> model.Project:
    return model.Project(**{**PROJECT, "root": str(root), **changes})


class Systemd:
    """Units that start and stop at once; a step of a release answers what `answers` has for it."""

    def __init__(self, run_folder: Path) -> None:
        self.run_folder = run_folder
        self.active: set[str] = set()
        self.calls: list[tuple[str, ...]] = []
        self.answers: dict[str, Json] = {}
        self.failing: set[str] = set()
        # What the distribution's package manager shows.
        self.packages = ""
        # How often a unit was started again, and since how many seconds it runs; never, and since the boot, otherwise.
        self.restarts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        # What was asked of Django, with its settings.
        self.steps: list[tuple[str, dict[str, str]]] = []
        # The queues of the sockets, one after the other as `ss` is asked for them.
        self.queues: list[int] = []
        # Units that are gone afterwards: how they were asked for, and what they answer.
        self.transients: list[tuple[str, ...]] = []
        self.transient: Callable[[tuple[str, ...]], tuple[int, str, str]] = lambda words: (0, json.dumps(PLAN), "")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        program, *words = command
        status, output, errors = 0, "", ""
        if program == "systemctl":
            status, output = self.systemctl(*words)
        elif program == "systemd-run":
            self.transients.append(tuple(words))
            status, output, errors = self.transient(tuple(words))
        elif program == "journalctl":
            output = "it said why\n"
        elif program == "dpkg-query":
            output = self.packages
        elif program == "ss":
            self.calls.append(("ss", words[-1]))
            count = self.queues.pop(0) if self.queues else 0
            output = f"u_str LISTEN {count} 4096 {words[-1].removeprefix('unix:')} 1 * 0\n"
        return subprocess.CompletedProcess(command, status, output, errors)

    def systemctl(self, verb: str, *words: str) -> tuple[int, str]:
        units = [word for word in words if not word.startswith("--")]
        self.calls.append((verb, *units))
        if verb == "start":
            return int(not all(map(self.start, units))), ""
        if verb == "stop":
            self.active.difference_update(units)
        text = "\n\n".join(map(self.show, units))
        return int(verb == "is-active" and not self.active.issuperset(units)), text

    def show(self, unit: str) -> str:
        state = "active" if unit in self.active else "inactive"
        since = 1e6 * (time.monotonic() - self.seconds[unit]) if unit in self.seconds else 0
        restarts = self.restarts.get(unit, 0)
        return f"ActiveState={state}\nNRestarts={restarts}\nActiveEnterTimestampMonotonic={since:.0f}"

    def start(self, unit: str) -> bool:
        if not unit.startswith("shop-release@"):
            self.active.update({unit} - self.failing)
            return unit not in self.failing
        slot = unit.partition("@")[2].removesuffix(".service")
        lines = (self.run_folder / f"{slot}.step").read_text().splitlines()
        settings = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
        step = settings.pop("STEP")
        self.steps.append((f"{slot} {step}", settings))
        failed = unit in self.failing
        answer = self.answers.get(step, {} if failed else PLAN)
        (self.run_folder / f"{slot}.json").write_text(json.dumps(answer))
        return not failed


class PlayedHost:
    """A host with releases OLD and NEW, of which OLD was good in blue; nothing serves yet."""

    def __init__(self, root: Path, systemd: Systemd) -> None:
        self.root, self.systemd = root, systemd
        self.environment = f"{root}/etc/1.env"
        for name in ("OLD", "NEW"):
            self.add_release(name)
        self.point("blue", "OLD")
        self.point("green", "NEW")
        self.was_good("blue", "OLD")

    def parts(self, **project: Any) -> Host:
        return Host(make_project(self.root, **project))

    def add_release(self, name: str, **manifest: Any) -> None:
        folder = self.root / "releases" / name
        (folder / "staticfiles").mkdir(parents=True)
        (folder / "staticfiles/site.css").write_text(name)
        known = {"release": name, "commit": name, "migrations": [], "leaves": {}, "apps": [], **manifest}
        (folder / ".release.json").write_text(json.dumps(known))

    def point(self, slot: str, release: str) -> None:
        folder = self.root / "slots" / slot
        folder.mkdir(parents=True, exist_ok=True)
        links = {
            "release": f"{self.root}/releases/{release}",
            "environment": self.environment,
            "web.sock": f"/run/{slot}",
        }
        for name, target in links.items():
            files.point(str(folder / name), target)
        (folder / "definitions").write_text(self.parts().slots.definitions())

    def start(self, slot: str, processes: list[str] = PROCESSES) -> None:
        names = [f"shop-{process}@{slot}.service" for process in processes]
        self.systemd.active.update([f"shop-web@{slot}.socket", *names])

    def serve(self, slot: str) -> None:
        files.point(str(self.root / "current"), f"slots/{slot}")
        self.start(slot)

    def was_good(self, slot: str, release: str, **record: Any) -> None:
        common = {"kind": "deploy", "environment": "1.env", "result": "good", "previous": None}
        self.parts().history.append(**{"id": f"1-{release}", **common, **record}, slot=slot, release=release)

    def is_tried(self, **attempt: Any) -> None:
        """Somebody, who has the lock, deploys NEW into green."""
        common = {"id": "2-NEW", "kind": "deploy", "release": "NEW", "slot": "green", "previous": "OLD"}
        more = {"by": ME["who"], "started": files.now(), "step": "switch", "environment": self.environment}
        about = {"commit": "NEW", "ref": "HEAD"}
        self.parts().attempt.write({**common, **more, **about, **attempt})
        self.parts().lease.take(ME["token"], ME["who"], "deploy of NEW")

    def take(self, step: str, project: Json | None = None, **request: Any) -> Json:
        """Take a step, as the module would."""
        common = {"owner": ME, "environment": self.environment, "retention_count": 5, "static_retention_days": 7}
        asked = {**common, "reason": "it failed", "attempts_count": 5, **request}
        return STEPS[step](self.parts(**project or {}), model.Request(step=step, **asked))

    @property
    def serving(self) -> str | None:
        return self.parts().slots.serving_release()

    @property
    def history(self) -> list[tuple[str, str, str]]:
        return [(record["kind"], record["release"], record["result"]) for record in self.parts().history.read()]

    @property
    def is_free(self) -> bool:
        return not {"lock.json", "attempt.json"} & set(os.listdir(self.root))

    def runs(self, slot: str) -> set[str]:
        """The processes that run in a slot."""
        return {unit.split("@")[0].removeprefix("shop-") for unit in self.systemd.active if f"@{slot}." in unit}


@pytest.fixture
def unhealthy(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Slots whose processes answer badly."""
    unhealthy: set[str] = set()

    def request(self: probe.Probe, found: slots.Slots, slot: str) -> probe.Answer:
        return probe.Answer(False, "500") if slot in unhealthy else probe.Answer(True, "200")

    monkeypatch.setattr(probe.Probe, "request", request)
    return unhealthy


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unhealthy: set[str]) -> PlayedHost:
    for name in ("etc", "run", "units", "lib"):
        (tmp_path / name).mkdir()
    for process in (*PROCESSES, "release"):
        (tmp_path / f"units/shop-{process}@.service").write_text(process)
    (tmp_path / "etc/1.env").touch()
    (tmp_path / "etc/site.fact").touch()
    monkeypatch.setattr(slots, "UNITS", str(tmp_path / "units"))
    places = {"run_folder": "run", "environment_folder": "etc", "driver": "lib/django_release.py"}
    places["facts"] = "etc/site.fact"
    for name, place in places.items():
        monkeypatch.setattr(model.Project, name, str(tmp_path / place))
    played = Systemd(tmp_path / "run")
    monkeypatch.setattr(systemd, "run", played.run)
    return PlayedHost(tmp_path, played)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What a build runs; a virtual environment is made of a folder, and nothing is fetched."""
    commands: list[tuple[str, ...]] = []

    def run(self: log.Log, *words: str, cwd: str | None = None, **environment: str) -> tuple[bool, str]:
        commands.append(words)
        if "venv" in words:
            os.makedirs(f"{words[-1]}/bin", exist_ok=True)
        self.write(f"$ {' '.join(words)}")
        return False, ""

    monkeypatch.setattr(log.Log, "run", run)
    return commands


@pytest.fixture
def archive(tmp_path: Path) -> str:
    """The files of the release NEXT."""
    files = {"manage.py": "", "requirements.txt": "django==5.2 --hash=sha256:0\n", "staticfiles/site.css": "NEXT"}
    with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as packed:
        for name, text in files.items():
            path = tmp_path / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            packed.add(path, name)
    return str(tmp_path / "release.tar.gz")
