"""The graders that Debian packages, in a root file system of their own: newer than this machine's, and apart."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from lab.commands import run
from lab.controller import CACHE, NEWEST, archives, locked, own_suite

PACKAGES = ("testssl.sh", "nmap", "lynis", "openscap-scanner", "ssg-debian", "ssg-debderived")


def base() -> Path:
    """Its folder, built where it is missing; `make clean` removes it."""
    distribution, _ = own_suite()
    suite = NEWEST[distribution]
    sources = archives(suite)
    key = hashlib.sha256("\n".join([*PACKAGES, *sources]).encode()).hexdigest()[:12]
    finished = CACHE / "graders" / f"{suite}-{key}"
    finished.parent.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "graders" / "lock"):
        if not finished.exists():
            print("Building the image of the graders (once)", flush=True)
            partial = finished.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            settings = run("apt-config", "dump", "Acquire::http::Proxy").strip().splitlines()
            # A mirror that is some days late would be refused.
            settings.append('Acquire::Check-Valid-Until "false";')
            options = [f"--aptopt={setting}" for setting in settings]
            include = f"--include={','.join(PACKAGES)}"
            run("mmdebstrap", "--variant=minbase", include, *options, suite, partial, *sources)
            partial.rename(finished)
    return finished


def inside(*command: str, folder: Path | None = None) -> str:
    """What a program of the image prints, on this machine's network; it sees `folder` as /mnt."""
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--as-pid2", "--resolv-conf=off"]
    nspawn += ["--timezone=off", f"--directory={base()}", *([f"--bind={folder}:/mnt"] if folder else [])]
    done = subprocess.run([*nspawn, "--", *command], capture_output=True, text=True, check=False)
    return done.stdout


def version(package: str) -> str:
    """The version of a package, without what the distribution adds."""
    full = inside("dpkg-query", "--show", "--showformat=${Version}", package)
    return full.partition("-")[0].partition("+")[0].rpartition(":")[2]
