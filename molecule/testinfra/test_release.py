"""A release serves once it is ready, and one that cannot become ready changes nothing for anybody."""

import json
import subprocess
import sys
from pathlib import Path

import inventory
import pytest
from support import eventually, processes, slot

ROOT = Path(__file__).parents[2]
BREAKAGES = {
    "its settings are wrong": (
        "echo 'raise SystemExit(\"no such setting\")' >> config/django/base.py",
        "no such setting",
    ),
    "its checks fail": ("printf '#!/bin/sh\\necho unsafe migration\\nexit 1\\n' > bin/release", "unsafe migration"),
    "it does not start": ("echo 'raise ImportError(\"no such module\")' >> config/wsgi.py", "no such module"),
    "it is never ready": ("sed -i 's/HTTP_200_OK/HTTP_418_IM_A_TEAPOT/' styleguide_example/health/apis.py", "418"),
}

pytestmark = [pytest.mark.destructive, pytest.mark.group("web"), pytest.mark.units("slipway-*")]


def activate(host, release):
    """Ask the module `release` for a release with the present environment."""
    variables = inventory.variables(host)
    arguments = {
        "name": "slipway",
        "root": "/srv/slipway",
        "release": release,
        "environment": host.check_output("readlink /srv/slipway/current/environment"),
        "processes": processes(host),
        "health_host": variables["project_domain"],
        "health_path": "/health/ready/",
        "health_timeout_seconds": 8,
        "drain_timeout_seconds": 30,
    }
    command = [Path(sys.executable).with_name("ansible"), host.backend.host, "-i", variables["inventory_dir"]]
    command += ["--become", "-m", "release", "-a", json.dumps(arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(host):
    """A function that makes a release out of the running one, changed by a shell command."""

    def make(change):
        release = "/srv/slipway/releases/tried"
        host.check_output(f"cp -a $(readlink -f /srv/slipway/current/release) {release}")
        host.check_output(f"sed -i s/=.*/=tried/ {release}/.complete")
        host.check_output(f"cd {release} && find . -name __pycache__ -prune -exec rm -r {{}} + && {change}")
        return "tried"

    yield make
    host.run("rm -rf /srv/slipway/releases/tried")


@pytest.fixture
def release(host):
    return host.check_output("basename $(readlink -f /srv/slipway/current/release)")


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_release_leaves_the_old_one_serving(host, site, copy, release, breakage):
    change, reason = BREAKAGES[breakage]
    before = slot(host)
    done = activate(host, copy(change))
    assert done.returncode != 0
    assert "still serves" in done.stdout
    assert reason in done.stdout
    assert slot(host) == before
    assert site.get("/health/ready/").json["release"] == release
    idle = {"blue": "green", "green": "blue"}[before]
    assert not host.run(f"systemctl is-active 'slipway-*@{idle}.*'").stdout


def test_a_good_release_takes_over_and_the_old_one_can_come_back(host, site, copy, release):
    before = slot(host)
    for wanted in (copy("true"), release):
        done = activate(host, wanted)
        assert done.returncode == 0, done.stdout
        assert eventually(lambda: site.get("/health/ready/").json["release"], seconds=5) == wanted
    assert slot(host) == before
    history = [json.loads(line) for line in host.check_output("tail -2 /srv/slipway/history.jsonl").splitlines()]
    assert [line["release"] for line in history] == ["tried", release]
