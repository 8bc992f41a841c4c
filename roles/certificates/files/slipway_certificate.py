#!/usr/bin/python3
"""Keep a certificate of an ACME server up to date.

Called by a timer and by the play, with certbot's configuration and the folder in which nginx looks for the certificate.
With --due it only says what there is to do, and changes nothing.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import ssl
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

FILES = ("privkey.pem", "fullchain.pem")
# What certbot says on every run, and nobody needs who reads why it failed.
NOISE = re.compile(
    r"Saving debug log|Ask for help|See the logfile|Hint: |- - -|Plugins selected|Account registered"
    r"|Renewing an existing|Requesting a certificate|Some challenges have failed|\s*$"
)


class Settings(NamedTuple):
    """What certbot is told, as far as it matters here."""

    path: Path
    names: set[str]
    server: str
    folder: Path
    logs: Path
    name: str

    @classmethod
    def read(cls, path: Path) -> Settings:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(f"[certbot]\n{path.read_text()}")
        said = parser["certbot"]
        names, folders = set(said["domains"].split(",")), (Path(said["config-dir"]), Path(said["logs-dir"]))
        return cls(path, names, said["server"], *folders, said["cert-name"])

    @property
    def live(self) -> Path:
        """Where certbot keeps the latest certificate."""
        return self.folder / "live" / self.name

    def issuer(self) -> str:
        """The server that the latest certificate is of; empty where there is none."""
        path = self.folder / f"renewal/{self.name}.conf"
        found = path.exists() and re.search(r"^server = (\S+)$", path.read_text(), re.MULTILINE)
        return found[1] if found and all((self.live / file).exists() for file in FILES) else ""


class Certificate(NamedTuple):
    names: set[str]
    begin: float
    end: float

    @classmethod
    def read(cls, path: Path) -> Certificate:
        command = ["openssl", "x509", "-in", str(path), "-noout", "-startdate", "-enddate", "-ext", "subjectAltName"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        dates = {name: ssl.cert_time_to_seconds(date) for name, date in re.findall(r"not(\w+)=(.+)", said)}
        return cls(set(re.findall(r"DNS:([^,\s]+)", said)), dates["Before"], dates["After"])


def reason(settings: Settings, now: float) -> str:
    """Why the server is to be asked for a certificate; empty while the latest one will do."""
    issuer = settings.issuer()
    if issuer != settings.server:
        return f"the latest is of {issuer}" if issuer else "there is none yet"
    latest = Certificate.read(settings.live / "fullchain.pem")
    if latest.names != settings.names:
        return f"the latest is for {', '.join(sorted(latest.names))}"
    if latest.end - now < (latest.end - latest.begin) / 3:
        return f"less than a third of its time is left, it ends {time.strftime('%F', time.gmtime(latest.end))}"
    return ""


def is_installed(settings: Settings, target: Path) -> bool:
    return all(
        (target / file).exists() and (target / file).read_bytes() == (settings.live / file).read_bytes()
        for file in FILES
    )


def issue(settings: Settings) -> None:
    """Ask the server; a refusal ends the program with the server's reason."""
    command = ["certbot", "certonly", f"--config={settings.path}"]
    log = settings.logs / "letsencrypt.log"
    before = log.stat().st_mtime_ns if log.exists() else 0
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if not NOISE.match(line)]
        said += refusals(log, before)
        raise SystemExit("\n".join([*said, f"{settings.server} gave no certificate. The one before stays in use."]))


def refusals(log: Path, before: int) -> list[str]:
    """What the server said, from the log: certbot 2.1 of Debian 12 stumbles over it and says "can't set attribute"."""
    if not log.exists() or log.stat().st_mtime_ns == before:
        return []
    return re.findall(r"^acme\.messages\.Error: urn:ietf:params:acme:(.+)", log.read_text(), re.MULTILINE)


def install(settings: Settings, target: Path) -> None:
    """Let nginx show the latest certificate; where it refuses, the one before stays, and the next run tries again."""
    before = {file: (target / file).read_bytes() for file in FILES if (target / file).exists()}
    replace(target, {file: (settings.live / file).read_bytes() for file in FILES})
    reload = ["systemctl", "try-reload-or-restart", "nginx"]
    done = subprocess.run(reload, check=False)
    if done.returncode:
        replace(target, before)
        raise SystemExit("nginx did not take the new certificate: read its journal. The one before stays in use.")


def replace(target: Path, contents: dict[str, bytes]) -> None:
    """Both files as nearly at once as a file system allows."""
    for file, content in contents.items():
        new = target / f".{file}.new"
        new.touch(mode=0o600)
        new.write_bytes(content)
        new.chmod(0o600 if file == "privkey.pem" else 0o644)
    for file in contents:
        os.replace(target / f".{file}.new", target / file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration", type=Path, help="what certbot is told")
    parser.add_argument("target", type=Path, help="the folder in which nginx looks")
    parser.add_argument("--due", action="store_true", help="say what there is to do, and change nothing")
    options = parser.parse_args()
    settings = Settings.read(options.configuration)
    why = reason(settings, time.time())
    if options.due:
        print("issue" if why else "" if is_installed(settings, options.target) else "install")
        return
    if why:
        print(f"asking {settings.server} for a certificate: {why}")
        issue(settings)
    if not is_installed(settings, options.target):
        install(settings, options.target)
        print(f"nginx shows the certificate of {settings.server} for {', '.join(sorted(settings.names))}.")


if __name__ == "__main__":
    main()
