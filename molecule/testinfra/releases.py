"""Releases of all web hosts of an inventory, good and broken ones, and what must be true after each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from lab.processes import descendants
from support import Site, eventually
from testinfra.host import Host

ROOT = Path(__file__).parents[2]
GIT = ["git", "-c", "safe.directory=*", "-c", "user.name=Slipway", "-c", "user.email=slipway@example.com"]
NICKNAME = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("users", "{after}")]
    operations = [migrations.{operation}]
"""
ADD = 'AddField("user", "nickname", models.CharField(max_length=20, null=True))'
DROP = 'RemoveField("user", "nickname")'
FIELD = "    nickname = models.CharField(max_length=20, null=True)\n    objects = "
# To a file: text to append, a migration to write as (the one before, its operation), or what replaces its text.
Change: TypeAlias = str | tuple[str, str] | Callable[[str], str]
# By name: the release that each builds on, and what it changes by path.
Commits: TypeAlias = Mapping[str, tuple[str | None, Mapping[str, Change]]]
UNREADY: dict[str, Change] = {
    "styleguide_example/health/apis.py": lambda text: text.replace("HTTP_200_OK", "HTTP_418_IM_A_TEAPOT")
}
NEW_COLUMN: dict[str, Change] = {
    "styleguide_example/users/migrations/0002_nickname.py": ("0001_initial", ADD),
    "styleguide_example/users/models.py": lambda text: text.replace("    objects = ", FIELD, 1),
}
# What each release changes.
CHANGES: Commits = {
    "good": (None, {"config/urls.py": "# good\n"}),
    "better": (None, {"config/urls.py": "# better\n"}),
    "too much": (None, {"config/urls.py": "# too much\n"}),
    "import error": (None, {"config/wsgi.py": "raise ImportError('no such module')\n"}),
    "missing secret": (None, {"config/django/production.py": "import os\n\nos.environ['PAYMENT_KEY']\n"}),
    "fading": (
        None,
        {
            "styleguide_example/health/apis.py": lambda text: (
                "import time\n"
                + text.replace("status.HTTP_200_OK", "(200 if time.monotonic() < BEGAN + 8 else 418)")
                + "\n\nBEGAN = time.monotonic()\n"
            )
        },
    ),
    "bad migration": (
        None,
        {"styleguide_example/users/migrations/0002_bad.py": ("0001_initial", "RunSQL('SELECT 1/0')")},
    ),
    "new column": (None, NEW_COLUMN),
    "dropped column": (
        "new column",
        {
            "styleguide_example/users/migrations/0003_no_nickname.py": ("0002_nickname", DROP),
            "styleguide_example/users/models.py": lambda text: text.replace(FIELD, "    objects = ", 1),
        },
    ),
}


def git(folder: Path, *words: str) -> str:
    return subprocess.run([*GIT, "-C", folder, *words], check=True, capture_output=True, text=True).stdout.strip()


def make_source(folder: Path, all_changes: Commits = CHANGES) -> dict[str, str]:
    """A clone of this repository with a tag for each of the changes; returns the release names by tag."""
    subprocess.run([*GIT, "clone", "--quiet", str(ROOT), str(folder)], check=True)
    names = {"head": git(folder, "rev-parse", "HEAD")[:12]}
    for name, (base, changes) in all_changes.items():
        git(folder, "checkout", "--quiet", "--detach", names[base or "head"])
        for path, change in changes.items():
            file = folder / "app" / path
            before = file.read_text() if file.exists() else ""
            if callable(change):
                file.write_text(change(before))
            elif isinstance(change, tuple):
                file.write_text(NICKNAME.format(after=change[0], operation=change[1]))
            else:
                file.write_text(before + change)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", name)
        git(folder, "tag", name.replace(" ", "-"))
        names[name] = git(folder, "rev-parse", "HEAD")[:12]
    git(folder, "checkout", "--quiet", "--detach", names["head"])
    return names


# What a host looks like: read in one go, since each question costs a connection.
LOOK = """
import glob, json, os, subprocess
root = "/srv/slipway"
def link(path):
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None
slot = link(f"{root}/current")
units = [f"slipway-{kind}@{each}.{end}" for each in ("blue", "green")
         for kind, end in (("web", "socket"), ("web", "service"), ("worker", "service"), ("beat", "service"))]
states = subprocess.run(["systemctl", "is-active", *units], capture_output=True, text=True).stdout.split()
releases = sorted(os.listdir(f"{root}/releases"))
print(json.dumps({
    "slot": slot,
    "release": link(f"{root}/slots/{slot}/release"),
    "running": sorted(unit for unit, state in zip(units, states) if state not in ("inactive", "failed")),
    "boots": subprocess.getoutput("systemctl is-enabled slipway.service"),
    "releases": releases,
    "half-made": [name for name in releases if not os.path.exists(f"{root}/releases/{name}/.release.json")]
        + glob.glob(f"{root}/*.new") + glob.glob(f"{root}/*/*.new") + glob.glob(f"{root}/slots/*/*.new"),
    "locked": os.path.exists(f"{root}/lock.json"),
    "attempt": os.path.exists(f"{root}/attempt.json"),
    "history": [json.loads(line) for line in open(f"{root}/history.jsonl")],
}))
"""


def look(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output("/usr/bin/python3 -c %s", LOOK))
    return found


ONE_BY_ONE = {"release_batch_count": 1}


class Play:
    """A running playbook."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "slipway.host.progress", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        # As it comes: a task's name is written when it begins, the rest of its line when it has ended.
        assert self.process.stdout
        while part := os.read(self.process.stdout.fileno(), 65536):
            self.output += part.decode(errors="replace")

    def wait(self, seconds: float = 240) -> Play:
        self.process.wait(seconds)
        self.reader.join()
        return self

    def reaches(self, task: str, *, times: int = 1, seconds: float = 120) -> None:
        """Wait until a task begins for the given time."""

        def began() -> bool:
            return self.output.count(task) >= times or self.process.poll() is not None

        eventually(began, seconds=seconds, pause=0.02)
        assert self.process.poll() is None, self.output

    def kill(self) -> None:
        """Kill the controller with all that it started here; what runs on the hosts lives on."""
        for process in [*descendants(self.process.pid), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.wait()


class Cluster:
    """The web hosts of an inventory, and the playbooks that release to them."""

    def __init__(self, folder: str, hosts: list[Host], sites: list[Site], source: Path, names: dict[str, str]) -> None:
        self.folder, self.hosts, self.sites, self.source, self.names = folder, hosts, sites, source, names

    def start(self, playbook: str, *options: str, **variables: Any) -> Play:
        # All hosts at a time, which is what most tests have no opinion about, takes less of it.
        quick = {"release_grace_seconds": 1, "release_watch_seconds": 1, "release_batch_count": len(self.hosts)}
        extra = {"application_source_path": str(self.source), **quick, **variables}
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return Play([program, "-i", self.folder, f"ansible/{playbook}.yml", *options, "-e", json.dumps(extra)])

    def start_deploy(self, name: str, **variables: Any) -> Play:
        return self.start("deploy", application_source_ref=self.names[name], **variables)

    def deploy(self, name: str, **variables: Any) -> Play:
        return self.start_deploy(name, **variables).wait()

    def rollback(self, **variables: Any) -> Play:
        return self.start("rollback", **variables).wait()

    @property
    def now(self) -> str:
        """The tag of what the first host serves; empty for another release."""
        return next((tag for tag, name in self.names.items() if name == self.released), "")

    @property
    def released(self) -> str:
        """The name of the release that the first host serves."""
        return str(look(self.hosts[0])["release"])

    @property
    def before(self) -> str:
        """The tag of what the first host served before the release that it serves now."""
        history = look(self.hosts[0])["history"]
        previous = next(record["previous"] for record in reversed(history) if record["result"] == "good")
        return next(tag for tag, name in self.names.items() if name == previous)

    @property
    def others(self) -> list[str]:
        """Tags of good releases that do not serve now."""
        return [tag for tag in ("good", "better", "head") if tag != self.now]

    def serves(self, name: str) -> bool:
        """Whether every host serves the release through its own nginx."""
        answers = [site.get("/health/ready/") for site in self.sites]
        return all(answer.status == 200 and answer.json["release"] == self.names[name] for answer in answers)

    def require(self, name: str, *, kind: str, result: str = "good", why: str = "") -> None:
        """The release serves on every host, alone and for good; nothing is half-made; the record is true."""
        wanted = self.names[name]
        assert eventually(lambda: self.serves(name), seconds=10)
        for host in self.hosts:
            seen = look(host)
            kinds = [("web", "socket"), ("web", "service"), ("worker", "service"), ("beat", "service")]
            assert seen["release"] == wanted
            assert seen["running"] == sorted(f"slipway-{kind}@{seen['slot']}.{end}" for kind, end in kinds)
            assert seen["boots"] == "enabled"
            assert seen["half-made"] == []
            assert not seen["locked"]
            assert not seen["attempt"]
            last = seen["history"][-1]
            assert (last["kind"], last["result"]) == (kind, result), last
            assert why in (last.get("why") or "")
            if result == "good":
                assert last["release"] == wanted
