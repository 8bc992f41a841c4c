"""The program that renews asks the ACME server when it is time, and never takes a good certificate away."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
import slipway_certificate as program
from certificate_files import NOW, Signed, sign
from repository import ROOT
from test_templates import render

DAY = datetime.timedelta(days=1)
PROGRAM = ROOT / "roles/certificates/files/slipway_certificate.py"
SERVER = "https://ca.example/directory"
NAMES = ("shop.example", "app.shop.example")


class Host:
    """A folder with what the role writes on a host, and programs that say that they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target = folder / "ssl"
        self.configuration = folder / "certbot.ini"
        given = {"certificates_names": list(NAMES), "certificates_acme_server": SERVER}
        lines = render("certificates", "certbot.ini.j2", folder, **given, __certificates_acme_path=str(folder))
        self.configuration.write_text("\n".join(lines))
        self.target.mkdir()
        self.show(sign("earlier", *NAMES))
        self.command("certbot", 'echo "a certificate was asked for" >&2; exit 1')
        self.command("systemctl", f'echo "$@" >>{folder}/reloads')

    def command(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def show(self, signed: Signed) -> None:
        """Let nginx have this one."""
        write(self.target, signed)

    def has(self, signed: Signed, server: str = SERVER) -> None:
        """Let certbot have got this one."""
        write(self.folder / "config/live/shop", signed)
        (self.folder / "config/renewal").mkdir(exist_ok=True)
        (self.folder / "config/renewal/shop.conf").write_text(f"[renewalparams]\nserver = {server}\n")

    def gives(self, signed: Signed) -> None:
        """Let the server sign this one."""
        new = self.folder / "new"
        write(new, signed)
        live, renewal = self.folder / "config/live/shop", self.folder / "config/renewal"
        self.command(
            "certbot",
            f"mkdir -p {live} {renewal}; cp {new}/* {live}; echo 'server = {SERVER}' >{renewal}/shop.conf; echo done",
        )

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), str(self.configuration), str(self.target), *options]
        path = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(command, env=path, capture_output=True, text=True, check=False)

    @property
    def shown(self) -> str:
        return (self.target / "fullchain.pem").read_text()

    @property
    def reloads(self) -> list[str]:
        path = self.folder / "reloads"
        return path.read_text().splitlines() if path.exists() else []


def write(folder: Path, signed: Signed) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fullchain.pem").write_text(signed.chain)
    (folder / "privkey.pem").write_text(signed.key_text())


def fresh(*names: str) -> Signed:
    return sign("fresh", *(names or NAMES), begin=datetime.datetime.now(datetime.timezone.utc) - DAY)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("days", "left", "due"),
    [
        (90, 31, False),
        (90, 29, True),
        (64, 22, False),
        (64, 21, True),
        (45, 16, False),
        (45, 14, True),
        (6, 2.1, False),
        (6, 1.9, True),
        (90, -1, True),
    ],
)
def test_a_third_of_the_time_is_kept_for_tries(host: Host, days: float, left: float, due: bool) -> None:
    host.has(sign("any", *NAMES, begin=NOW + datetime.timedelta(days=left - days), days=days))
    why = program.reason(program.Settings.read(host.configuration), NOW.timestamp())
    assert ("less than a third of its time is left, it ends 20" in why) == due
    assert bool(why) == due


@pytest.mark.parametrize(
    ("names", "server", "why"),
    [
        ((*NAMES, "new.shop.example"), SERVER, "the latest is for app.shop.example, new.shop.example, shop.example"),
        (NAMES[:1], SERVER, "the latest is for shop.example"),
        (NAMES, "https://staging.ca.example/", "the latest is of https://staging.ca.example/"),
    ],
)
def test_one_for_other_names_or_of_another_server_will_not_do(
    host: Host, names: tuple[str, ...], server: str, why: str
) -> None:
    host.has(sign("any", *names), server)
    assert program.reason(program.Settings.read(host.configuration), NOW.timestamp()) == why


def test_the_first_one_replaces_ours(host: Host) -> None:
    signed = fresh()
    host.gives(signed)
    assert host.run("--due").stdout == "issue\n"
    assert host.run().stdout.startswith(f"asking {SERVER} for a certificate: there is none yet\n")
    assert host.shown == signed.chain
    assert (host.target / "privkey.pem").stat().st_mode & 0o777 == 0o600
    assert host.reloads == ["try-reload-or-restart nginx"]
    assert host.run("--due").stdout == "\n"


def test_a_second_run_asks_nobody_and_reloads_nothing(host: Host) -> None:
    signed = fresh()
    host.has(signed)
    host.show(signed)
    done = host.run()
    assert (done.returncode, done.stdout, host.reloads) == (0, "", [])


def test_one_that_is_there_is_shown_again_without_asking(host: Host) -> None:
    """As after a way back from another source."""
    signed = fresh()
    host.has(signed)
    assert host.run("--due").stdout == "install\n"
    assert host.run().returncode == 0
    assert host.shown == signed.chain


def test_a_refusal_keeps_the_one_before_and_says_why(host: Host) -> None:
    before = host.shown
    host.command(
        "certbot",
        "echo 'Saving debug log to /x'; echo; echo '  Domain: app.shop.example'\n"
        "echo '  Detail: 10.0.0.1: refused' >&2; echo 'Ask for help or search for solutions'; exit 1",
    )
    done = host.run()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "  Domain: app.shop.example",
        "  Detail: 10.0.0.1: refused",
        f"{SERVER} gave no certificate. The one before stays in use.",
    ]
    assert (host.shown, host.reloads) == (before, [])
    assert host.run("--due").stdout == "issue\n", "the next run tries again"


def test_what_the_server_said_is_told_where_certbot_hides_it(host: Host) -> None:
    said = "error:rateLimited :: There were too many requests of a given type :: try again on Sunday"
    host.command(
        "certbot",
        f"mkdir -p {host.folder}/logs; echo 'acme.messages.Error: urn:ietf:params:acme:{said}' "
        f'>{host.folder}/logs/letsencrypt.log; echo "AttributeError: can\'t set attribute"; exit 1',
    )
    assert said in host.run().stderr.splitlines()
    host.command("certbot", "exit 1")
    assert said not in host.run().stderr, "an earlier run's reason is not this one's"


def test_one_that_nginx_refuses_is_taken_back(host: Host) -> None:
    before = host.shown
    host.has(fresh())
    host.command("systemctl", "exit 1")
    done = host.run()
    assert done.returncode == 1
    assert "nginx did not take the new certificate: read its journal." in done.stderr
    assert host.shown == before
    assert host.run("--due").stdout == "install\n", "the next run tries again"
