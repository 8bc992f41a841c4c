"""What decides who may log in to a host: remembered before a change, and brought back unless a login proves it.

This file is also a program: the module copies it to the host, where a timer runs it when no proof comes in time.
It imports the standard library alone.
"""

from __future__ import annotations

import base64
import contextlib
import glob
import json
import os
import pwd
import subprocess
import time
from typing import Any

Json = dict[str, Any]
# Files and folders, of which whatever lies directly in them counts.
GUARDED = (
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/nftables.conf",
    "/etc/nftables.d",
    "/etc/fail2ban/jail.d",
)
TABLE = "inet slipway"
LIFETIME_SECONDS = 3600
KEYS = ".ssh/authorized_keys"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def paths(users: list[str]) -> list[str]:
    """The guarded files that exist, with the keys of these users."""
    homes = []
    for user in users:
        with contextlib.suppress(KeyError):
            homes.append(os.path.join(pwd.getpwnam(user).pw_dir, KEYS))
    inner = [path for folder in GUARDED for path in glob.glob(f"{folder}/*")]
    return sorted({path for path in (*GUARDED, *inner, *homes) if os.path.isfile(path)})


def describe(path: str) -> Json:
    about = os.stat(path)
    with open(path, "rb") as file:
        content = base64.b64encode(file.read()).decode()
    return {"content": content, "mode": about.st_mode & 0o7777, "owner": [about.st_uid, about.st_gid]}


def table() -> str:
    """The rules that nftables has for us, without what changes by itself; empty where there are none."""
    answer = run("nft", "--stateless", "--terse", "list", "table", *TABLE.split()) if has("nft") else None
    return answer.stdout if answer and answer.returncode == 0 else ""


def has(program: str) -> bool:
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"))


def snapshot(users: list[str]) -> Json:
    """All that decides who may log in, as it is now."""
    return {"users": users, "files": {path: describe(path) for path in paths(users)}, "table": table()}


def differs(before: Json) -> bool:
    """Whether anything is not as it was."""
    return snapshot(before["users"]) != before


def write(path: str, content: bytes, mode: int, owner: list[int]) -> None:
    """Replace a file in one step."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = f"{path}.slipway"
    with open(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        os.chown(draft, *owner)
        os.chmod(draft, mode)
        os.fsync(file.fileno())
    os.replace(draft, path)


def bring_back(before: Json) -> None:
    """Make files and rules what they were, and let the services read them."""
    for path in paths(before["users"]):
        if path not in before["files"]:
            os.unlink(path)
    for path, about in before["files"].items():
        if not os.path.isfile(path) or describe(path) != about:
            write(path, base64.b64decode(about["content"]), about["mode"], about["owner"])
    if has("nft") and table() != before["table"]:
        # Named first, so that it can be deleted whether it exists or not. The files are those of before already.
        run("nft", f"table {TABLE} {{}}; delete table {TABLE}")
        if before["table"]:
            run("nft", "--file", "/etc/nftables.conf")
    run("systemctl", "try-reload-or-restart", "ssh.service")
    run("systemctl", "try-restart", "fail2ban.service")


def read(path: str) -> Json | None:
    """A snapshot; long after, it says nothing any more."""
    with contextlib.suppress(OSError, ValueError), open(path) as file:
        content: Json = json.load(file)
        return content if time.time() - os.stat(path).st_mtime < LIFETIME_SECONDS else None
    return None


class Guard:
    """The snapshot of a change that is not proven yet, and the timer that brings it back."""

    def __init__(self, folder: str = "/var/lib/slipway-access", units: str = "/etc/systemd/system") -> None:
        self.folder, self.units = folder, units
        self.path = os.path.join(folder, "before.json")
        # The same, once no proof came in time.
        self.late = os.path.join(folder, "late.json")

    @property
    def timer(self) -> str:
        return "slipway-access.timer"

    def before(self) -> Json | None:
        """What a change that is not proven yet began with."""
        return read(self.path)

    def arm(self, program: str, users: list[str], seconds: int) -> None:
        """Remember what is now, unless an unproven change has done so, and start the timer anew."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        owner = [os.geteuid(), os.getegid()]
        script = os.path.join(self.folder, "restore.py")
        texts = {
            script: program,
            f"{self.units}/slipway-access.service": SERVICE.format(script=script, before=self.path),
            f"{self.units}/{self.timer}": TIMER.format(seconds=seconds),
        }
        for path, text in texts.items():
            write(path, text.encode(), 0o644, owner)
        self.forget(self.late)
        run("systemctl", "daemon-reload")
        # A host that boots in between brings it back then.
        run("systemctl", "enable", "--quiet", "slipway-access.service")
        started = run("systemctl", "restart", self.timer)
        if started.returncode:
            raise OSError(f"{self.timer} does not start: {started.stderr.strip()}")
        # Last: a snapshot without a timer would be brought back by a boot long after.
        if self.before() is None:
            write(self.path, json.dumps(snapshot(users)).encode(), 0o600, owner)

    @staticmethod
    def forget(path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def is_armed(self) -> bool:
        """Whether the change is still waiting for its proof: not proven, and not brought back."""
        return self.before() is not None

    def is_changed(self) -> bool:
        before = self.before()
        return before is not None and differs(before)

    def disarm(self) -> None:
        self.forget(self.path)
        run("systemctl", "stop", self.timer)

    def restore(self) -> None:
        """Bring back what was before a change that nobody proved, also when a slow run has gone on after that."""
        before = self.before() or read(self.late)
        if before is not None and differs(before):
            bring_back(before)
        if self.is_armed():
            os.replace(self.path, self.late)
        run("systemctl", "stop", self.timer)


SERVICE = """\
[Unit]
Description=Bring back who could log in before a change that nobody proved
ConditionPathExists={before}

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {script}

[Install]
WantedBy=multi-user.target
"""
TIMER = """\
[Unit]
Description=Wait for a login that proves a change of who may log in

[Timer]
OnActiveSec={seconds}
AccuracySec=1
"""

if __name__ == "__main__":
    Guard().restore()
