"""Whatever is sent, the answer is one that the API's own schema describes, and never a failure of the server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import Administrator, Secret, Site, eventually

pytestmark = [pytest.mark.once, pytest.mark.destructive, pytest.mark.group("web"), pytest.mark.units("slipway-web@*")]

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# The program, with the one name that DNS does not know. The header is no argument: those are everybody's to read.
SCHEMATHESIS = """
import os, socket, sys
from schemathesis.cli import schemathesis
domain, address, *sys.argv[1:] = sys.argv[1:]
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda name, *rest, **more: resolve(address if name == domain else name, *rest, **more)
if authorization := os.environ.get("AUTHORIZATION"):
    sys.argv.append(f"--header=Authorization: {authorization}")
schemathesis(prog_name="schemathesis")
"""


def conforms(site: Site, folder: Path, *options: str, authorization: str = "") -> None:
    """Run schemathesis; where it finds anything, fail with its own report."""
    command = [sys.executable, "-c", SCHEMATHESIS, site.domain, site.address]
    command += ["--config-file", str(CONFIGURATION), "run", "--no-color", f"--tls-verify={site.authority}", *options]
    command += [f"{site.origin}/api/schema/"]
    environment = {**os.environ, "AUTHORIZATION": authorization}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    failed, report = done.returncode != 0, done.stdout
    assert not failed, report


def test_the_api_does_to_strangers_as_its_schema_says(site: Site, tmp_path: Path) -> None:
    conforms(site, tmp_path, "--warnings=off")


def test_the_api_does_to_who_is_logged_in_as_its_schema_says(
    site: Site, administrator: Administrator, tmp_path: Path
) -> None:
    """Without what would end the session."""
    login = eventually(lambda: (found := site.login(administrator)).status == 200 and found, seconds=20)
    authorization = Secret(f"Session {login.json['session']}")
    conforms(site, tmp_path, "--exclude-path-regex=^/api/auth/log", authorization=authorization)
    assert site.get("/api/auth/me/", headers={"Authorization": authorization}).status == 200
