"""The machine that boots the hosts: what it must have, and what hosts take over from it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from lab.commands import run

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".cache"
FREE_MIB = 4096
COMMANDS = ("mmdebstrap", "systemd-nspawn", "nft", "ip", "ssh-keygen")
# What hosts are made of, in each distribution the newest last: a controller tests its own version and a neighbour.
SUITES = {"debian": ["bookworm", "trixie"], "ubuntu": ["jammy", "noble", "resolute"]}
# Debian testing in the shape of Ubuntu 26.04, for controllers that cannot boot that.
STAND_IN = "forky"
NEWEST = {"debian": STAND_IN, "ubuntu": "resolute"}


def require_controller() -> None:
    if os.geteuid() != 0:
        raise UserError("Booting hosts needs root: run the same command with sudo.")
    missing = [name for name in COMMANDS if not shutil.which(name)]
    if missing:
        raise UserError(f"Missing on this machine: {', '.join(missing)}; `tools/install.sh hosts` installs them.")


def require_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free // 2**20
    if free < FREE_MIB:
        raise UserError(f"{folder} has {free} MiB free and the hosts need {FREE_MIB}: free some space, then try again.")
    if run("findmnt", "--noheadings", "--output=FSTYPE", "--target", folder).strip() == "overlay":
        raise UserError(f"{folder} lies on an overlay file system, which cannot carry another: clone onto a real disk.")


def own_suite() -> tuple[str, str]:
    """This machine's distribution and codename: ("debian", "bookworm")."""
    lines = Path("/etc/os-release").read_text().replace('"', "").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields.get("ID", "?"), fields.get("VERSION_CODENAME", "?")


def tested_suites() -> list[str]:
    """The suites to test on: SLIPWAY_SUITES, or this machine's own, its neighbour and the newest."""
    distribution, own = own_suite()
    named = os.environ.get("SLIPWAY_SUITES", "").split()
    return named or [*with_neighbour(distribution, own), NEWEST[distribution]]


def with_neighbour(distribution: str, codename: str) -> list[str]:
    """A suite, and the one before it, or after it where it is the first."""
    supported = SUITES.get(distribution, [])
    if codename not in supported:
        everything = "; ".join(f"{name}: {', '.join(names)}" for name, names in SUITES.items())
        raise UserError(f"{distribution} {codename} is not supported as a controller ({everything}).")
    index = supported.index(codename)
    return [codename, supported[index - 1] if index else supported[1]]


def archives(suite: str) -> list[str]:
    """The apt lines of `suite`, on the mirrors that this machine itself uses."""
    distribution, own = own_suite()
    columns = "$(REPO_URI) $(RELEASE) $(CODENAME)"
    origin = f"Origin: {distribution.capitalize()}"
    targets = run("apt-get", "indextargets", "--format", columns, "Created-By: Packages", origin)
    main = security = None
    for line in targets.splitlines():
        uri, *names = line.split()
        if any(name.endswith("-security") for name in names):
            security = security or uri
        elif own in names:
            main = main or uri
    if not main:
        raise UserError("apt knows no archive of this system: run `apt-get update`, then try again.")
    components = "main universe" if distribution == "ubuntu" else "main"
    lines = [f"deb {main} {suite} {components}"]
    if suite == STAND_IN:
        return lines
    lines.append(f"deb {main} {suite}-updates {components}")
    if security:
        lines.append(f"deb {security} {suite}-security {components}")
    return lines


def resolvers() -> str:
    """The resolver file to hand to hosts: one whose addresses are reachable from outside this machine."""
    upstream = Path("/run/systemd/resolve/resolv.conf")
    own = Path("/etc/resolv.conf").read_text()
    return upstream.read_text() if "127.0.0." in own and upstream.exists() else own


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock against other copies of this program."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def give_to_caller(*paths: Path) -> None:
    """Files in the checkout belong to the person who typed sudo."""
    if name := os.environ.get("SUDO_USER"):
        owner = pwd.getpwnam(name)
        for path in paths:
            os.chown(path, owner.pw_uid, owner.pw_gid)
