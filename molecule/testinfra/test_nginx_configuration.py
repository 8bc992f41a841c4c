"""Configurations that nginx takes or refuses, and the operator's own locations."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import inventory
import pytest
from support import HSTS, ROOT, Site, play
from testinfra.host import Host

pytestmark = [
    pytest.mark.once,
    pytest.mark.slipway,
    pytest.mark.group("web"),
    pytest.mark.units("nginx", "slipway-web@*"),
]


def unit(host: Host, *options: str) -> subprocess.CompletedProcess[str]:
    """Ask the module `unit` to run nginx with what is on disk."""
    arguments = {"name": "nginx", "reload_for": ["/etc/nginx/conf.d/slipway.conf"]}
    command = [Path(sys.executable).with_name("ansible"), host.backend.host, "--become", *options]
    command += [
        "-i",
        inventory.variables(host)["inventory_dir"],
        "-m",
        "slipway.host.unit",
        "-a",
        json.dumps(arguments),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.destructive
def test_a_reload_that_nginx_refuses_is_noticed_until_it_is_not_refused(host: Host, site: Site) -> None:
    """`nginx -t` finds nothing wrong with another key for a zone that the running nginx knows."""
    old = "/run/slipway.conf.old"
    host.check_output(f"cp -p /etc/nginx/conf.d/slipway.conf {old}")
    try:
        other_key = "s/limit_req_zone $login_client_slipway/limit_req_zone $remote_port/"
        host.check_output("sed -i %s /etc/nginx/conf.d/slipway.conf", other_key)
        host.check_output("nginx -t -q")
        refused = unit(host)
        assert refused.returncode != 0
        assert re.search(
            r'\[emerg\] .*limit_req "logins_slipway" uses the "\$remote_port"', refused.stdout + refused.stderr
        )
        assert "systemctl restart nginx" in " ".join((refused.stdout + refused.stderr).split())
        assert site.get("/health/live/").status == 200
        assert "- reload" in unit(host, "--check").stdout
    finally:
        host.check_output(f"mv {old} /etc/nginx/conf.d/slipway.conf")
    assert unit(host).returncode == 0
    assert "- reload" not in unit(host, "--check").stdout


@pytest.mark.destructive
def test_a_broken_configuration_replaces_nothing(host: Host, site: Site) -> None:
    before = host.file("/etc/nginx/conf.d/slipway.conf").sha256sum
    options = ["--tags", "nginx_project,nginx_service", "-e", "nginx_certificate_path=/etc/ssl/no-such-folder"]
    refused = play(host, "site.yml", *options)
    assert refused.returncode != 0
    assert "cannot load certificate" in refused.stdout + refused.stderr
    assert host.file("/etc/nginx/conf.d/slipway.conf").sha256sum == before
    assert site.get("/health/live/").status == 200


PROVISION = ["site.yml", "--tags", "nginx_project,nginx_service"]


@pytest.fixture
def own(host: Host, tmp_path: Path) -> Iterator[Path]:
    """The operator's folder `nginx` in a copy of this host's inventory."""
    original = Path(inventory.variables(host)["inventory_dir"])
    # As deep as in the repository, since an inventory looks for its front end above itself.
    copy = tmp_path / original.relative_to(ROOT)
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns(".secrets"))
    (copy / ".secrets").symlink_to(original / ".secrets")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (copy / "nginx").mkdir(exist_ok=True)
    yield copy / "nginx"
    # What a test leaves that failed.
    if host.check_output("ls /etc/nginx/locations/slipway"):
        assert play(host, *PROVISION).returncode == 0


def provision(host: Host, own: Path) -> tuple[int, str]:
    done = play(host, *PROVISION, inventory_dir=own.parent)
    return done.returncode, done.stdout + done.stderr


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"ada:{password}".encode()).decode()}


@pytest.mark.destructive
def test_locations_and_users_of_the_operator_count_until_they_are_removed(host: Host, site: Site, own: Path) -> None:
    """A wrong location is refused with its file and line, and changes nothing."""
    (own / "tested.conf").write_text('location = /tested {\n    return 200 "one";\n}\n')
    assert provision(host, own)[0] == 0
    answer = site.get("/tested")
    assert (answer.status, answer.body) == (200, b"one")
    assert answer.headers.get_all("Strict-Transport-Security") == [HSTS]
    before = host.file("/etc/nginx/conf.d/slipway.conf").sha256sum

    (own / "tested.conf").write_text('location = /tested {\n    return 200 "two";\n}\n')
    (own / "wrong.conf").write_text("# The line after the next is wrong.\nlocation = /wrong {\n    retrun 204;\n}\n")
    code, output = provision(host, own)
    assert code != 0
    assert re.search(rf"unknown directive \W+retrun\W+ in {own.parent.name}/nginx/wrong\.conf:3", output), output
    assert host.file("/etc/nginx/conf.d/slipway.conf").sha256sum == before
    host.check_output("systemctl reload nginx")
    assert site.get("/tested").body == b"one"

    (own / "wrong.conf").unlink()
    users = own.parent / "group_vars/all/users.yml"
    users.write_text("nginx_basic_auth_users: {ada: let me in}\n")
    assert provision(host, own)[0] == 0
    assert site.get("/tested").body == b"two"
    needed = (401, "A name and a password are needed.")
    for headers, expected in (({}, True), (basic("let me"), True), (basic("let me in"), False)):
        answer = site.get("/api/auth/me/", headers=headers)
        # The API has logins of its own, and another message.
        assert ((answer.status, answer.json["message"]) == needed) == expected
    assert site.get("/health/ready/").status == 200
    code, output = provision(host, own)
    assert (code, "changed=0" in output) == (0, True), output
    (own / "tested.conf").unlink()
    users.unlink()
    assert provision(host, own)[0] == 0
    assert site.get("/tested").status == 404
    assert host.check_output("ls /etc/nginx/locations/slipway") == ""
