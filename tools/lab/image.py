"""Root file systems that hosts start from, each built once."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from lab.commands import run
from lab.controller import CACHE, archives, locked

ADMIN = "admin"
IMAGES = CACHE / "images"
# Raise it when `build` changes what an image holds.
FORMAT = "2"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "ca-certificates"),
    *("python3", "python3-apt", "openssh-server", "sudo"),
)


def base(suite: str) -> Path:
    """The folder of the bare image of `suite`."""
    sources = archives(suite)
    authorities = sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    parts = [FORMAT, *PACKAGES, *sources, *(path.read_text() for path in authorities)]
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
    proxy = run("apt-config", "dump", "Acquire::http::Proxy").strip()
    run(
        "mmdebstrap",
        "--variant=minbase",
        "--skip=cleanup/apt/lists",
        f"--include={','.join(PACKAGES)}",
        *([f"--aptopt={proxy}"] if proxy else []),
        f'--customize-hook=chroot "$1" useradd --create-home --shell=/bin/bash {ADMIN}',
        f'--customize-hook=echo "{ADMIN} ALL=(ALL) NOPASSWD:ALL" > "$1/etc/sudoers.d/90-{ADMIN}"',
        f'--customize-hook=chmod 0440 "$1/etc/sudoers.d/90-{ADMIN}"',
        *(f"--customize-hook=copy-in {path} /usr/local/share/ca-certificates" for path in authorities),
        '--customize-hook=chroot "$1" update-ca-certificates',
        '--customize-hook=chroot "$1" systemctl enable systemd-networkd ssh',
        '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname "$1"/etc/resolv.conf',
        '--customize-hook=: > "$1"/etc/machine-id',
        suite,
        folder,
        *sources,
    )
