"""Root file systems that hosts start from, each built once."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from pathlib import Path

from lab.commands import run
from lab.controller import CACHE, STAND_IN, archives, locked

ADMIN = "admin"
IMAGES = CACHE / "images"
# Raise it when `build` changes what an image holds.
FORMAT = "2"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "ca-certificates"),
    *("python3", "python3-apt", "openssh-server", "sudo"),
)
# What Ubuntu has and Debian has not, and the program that puts it to use.
UBUNTU = ("openssh-client", "sudo-rs", "rust-coreutils", "ufw", "needrestart", "systemd-resolved", "chrony")
SHAPE = Path(__file__).with_name("ubuntu.sh")


def packages(suite: str) -> tuple[str, ...]:
    return PACKAGES + UBUNTU if suite == STAND_IN else PACKAGES


def base(suite: str) -> Path:
    """The folder of the bare image of `suite`."""
    sources = archives(suite)
    authorities = sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    parts = [FORMAT, *packages(suite), *sources, *(path.read_text() for path in authorities)]
    if suite == STAND_IN:
        parts.append(SHAPE.read_text())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    finished = IMAGES / f"{suite}-{key}"
    IMAGES.mkdir(parents=True, exist_ok=True)
    with locked(IMAGES / f"{suite}.lock"):
        if not finished.exists():
            print(f"Building the {suite} base image (once)", flush=True)
            partial = finished.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            build(suite, partial, sources, authorities)
            partial.rename(finished)
    return finished


def build(suite: str, folder: Path, sources: list[str], authorities: list[Path]) -> None:
    settings = run("apt-config", "dump", "Acquire::http::Proxy").strip().splitlines()
    shape = []
    if suite == STAND_IN:
        # A mirror that is some days late would be refused.
        settings.append('Acquire::Check-Valid-Until "false";')
        shape.append(f'--customize-hook=chroot "$1" sh < {shlex.quote(str(SHAPE))}')
    run(
        "mmdebstrap",
        "--variant=minbase",
        "--skip=cleanup/apt/lists",
        f"--include={','.join(packages(suite))}",
        *(f"--aptopt={setting}" for setting in settings),
        f'--customize-hook=chroot "$1" useradd --create-home --shell=/bin/bash {ADMIN}',
        f'--customize-hook=echo "{ADMIN} ALL=(ALL) NOPASSWD:ALL" > "$1/etc/sudoers.d/90-{ADMIN}"',
        f'--customize-hook=chmod 0440 "$1/etc/sudoers.d/90-{ADMIN}"',
        *(f"--customize-hook=copy-in {path} /usr/local/share/ca-certificates" for path in authorities),
        '--customize-hook=chroot "$1" update-ca-certificates',
        '--customize-hook=chroot "$1" systemctl enable systemd-networkd ssh',
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf',
        '--customize-hook=: > "$1"/etc/machine-id',
        *shape,
        suite,
        folder,
        *sources,
    )
