"""Three projects that are not ours, on one host: each is released, and leaves the others alone."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from projects import (
    CACHE,
    CHANGES,
    GIT,
    MARKS,
    PAGES,
    PROJECTS,
    ROOT,
    active,
    commit,
    every_project,
    manage,
    pids,
    play,
    provision_shop,
    said,
    target,
)
from support import Site, eventually
from testinfra.host import Host

pytest_plugins = ["projects_fixtures"]
pytestmark = MARKS

# --- releases -------------------------------------------------------------------------------------------------------


@pytest.mark.destructive
@every_project
def test_a_release_and_the_way_back_leave_the_other_projects_alone(
    host: Host, sites: dict[str, Site], name: str
) -> None:
    path, first, second = PAGES[name]
    others = {other: pids(host, other) for other in PROJECTS if other != name}
    kept = "from django.db import connection as c; cursor = c.cursor(); cursor.execute('{} table kept (i int)')"
    manage(host, name, kept.format("create"))
    commit(name, *CHANGES[name])
    planned = play(name, "deploy", "--check")
    assert planned.returncode == 0, planned.stdout
    # Neither a migration, nor why that cannot be told before.
    assert not re.search(r"migrates \w+\.\d|cannot be told", said(planned))
    done = play(name, "deploy")
    assert done.returncode == 0, done.stdout
    assert second in sites[name].get(path).body.decode()
    done = play(name, "rollback")
    assert done.returncode == 0, done.stdout
    assert first in sites[name].get(path).body.decode()
    # Fails where the release that serves has another database.
    manage(host, name, kept.format("drop").replace(" (i int)", ""))
    assert {other: pids(host, other) for other in others} == others


PYPROJECT = """\
[project]
name = "stock"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = ["django>=5.2,<5.3", "gunicorn>=23"]
"""


def deploy_once(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Release the last commit of a project's checkout, which does not keep it."""
    try:
        return play(name, "deploy", "-e", json.dumps(variables))
    finally:
        subprocess.run([*GIT, "-C", CACHE / name, "reset", "--quiet", "--hard", "HEAD^"], check=True)


def deploy_with(requirements: str, files: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """Release the stock project with other files of requirements, which its checkout does not keep."""
    for name, text in files.items():
        (CACHE / "stock" / name).write_text(text)
    subprocess.run([*GIT, "-C", CACHE / "stock", "add", *files], check=True)
    subprocess.run([*GIT, "-C", CACHE / "stock", "commit", "--quiet", "--message", requirements], check=True)
    return deploy_once("stock", application_requirements_file=requirements, **more)


@pytest.mark.destructive
def test_a_pyproject_without_a_lock_is_installed_with_a_warning_and_another_python(
    host: Host, sites: dict[str, Site]
) -> None:
    # Its health is a page that leads to another, which is followed.
    more = {"application_python": "/bin/python3", "application_health_path": "/admin/"}
    done = deploy_with("pyproject.toml", {"pyproject.toml": PYPROJECT}, **more)
    assert done.returncode == 0, done.stdout
    assert "pyproject.toml leaves open which version of" in said(done)
    assert host.check_output("readlink /srv/stock/current/release/.venv/bin/python").startswith("/bin/python3")
    assert sites["stock"].get("/admin/login/").status == 200
    assert play("stock", "rollback").returncode == 0


@pytest.mark.destructive
def test_a_poetry_lock_is_installed_as_it_says(host: Host, sites: dict[str, Site]) -> None:
    files = {path.name: path.read_text() for path in (ROOT / "molecule/projects/poetry").iterdir()}
    done = deploy_with("poetry.lock", files)
    assert done.returncode == 0, done.stdout
    assert "leaves open" not in said(done)
    (locked,) = re.findall(r'name = "django"\nversion = "(.+)"', files["poetry.lock"])
    assert host.check_output("stock-manage version") == locked
    assert sites["stock"].get("/admin/login/").status == 200
    assert play("stock", "rollback").returncode == 0


@pytest.mark.destructive
def test_what_the_inventory_adds_to_the_processes_runs_until_it_is_taken_out_again(
    host: Host, sites: dict[str, Site]
) -> None:
    before = {unit.split("@")[0] for unit in pids(host, "shop")}
    defined = yaml.safe_load((CACHE / "inventories/shop/group_vars/all/application.yml").read_text())
    processes = [
        {**process, "count": 2} if process["kind"] == "worker" else process
        for process in defined["application_processes"]
    ]
    runs = "/srv/shop/data/runs"
    tick = {"name": "tick", "kind": "timer", "schedule": "*:*:*", "command": f"sh -c 'echo $RELEASE >> {runs}'"}
    processes += [{"name": "clock", "kind": "worker", "command": "sleep infinity"}, tick]
    done = provision_shop(application_processes=processes, application_release_commands=[f"echo prepared > {runs}"])
    try:
        assert done.returncode == 0, done.stdout
        running = {unit.split("@")[0] for unit in pids(host, "shop")}
        assert running - {"shop-tick"} == before | {"shop-worker-2", "shop-clock"}
        release = target(host, "/srv/shop/current/release")
        said = eventually(lambda: host.file(runs).content_string.splitlines()[2:], seconds=20)
        assert (host.file(runs).content_string.splitlines()[0], set(said)) == ("prepared", {release})
        assert active(host, "shop-tick@*.timer") == [f"shop-tick@{target(host, '/srv/shop/current')}.timer"]
    finally:
        done = provision_shop()
    assert done.returncode == 0, done.stdout
    assert {unit.split("@")[0] for unit in pids(host, "shop")} == before
    assert active(host, "shop-tick@*") == []
    assert host.run("ls /etc/systemd/system/shop-{clock,worker-2,tick}@.*").stdout == ""
    assert sites["shop"].get("/").status == 200


@pytest.mark.destructive
def test_a_process_that_ends_after_the_time_of_grace_is_no_good_release(host: Host, sites: dict[str, Site]) -> None:
    defined = yaml.safe_load((CACHE / "inventories/shop/group_vars/all/application.yml").read_text())
    ending = [
        {**process, "command": "sh -c 'sleep 6; echo no clock; exit 1'"} if process["kind"] == "beat" else process
        for process in defined["application_processes"]
    ]
    done = provision_shop(application_processes=ending, release_watch_seconds=9)
    try:
        assert done.returncode != 0
        assert re.search(r"shop-beat@\w+\.service ended soon after the switch: no clock", said(done))
        assert sites["shop"].get("/").status == 200
    finally:
        done = provision_shop()
    assert done.returncode == 0, done.stdout


@pytest.mark.destructive
def test_maintenance_closes_one_project(host: Host, sites: dict[str, Site]) -> None:
    flag = "/etc/nginx/maintenance/shop/on"
    try:
        assert "maintenance is on" in said(play("shop", "maintenance", "-e", "maintenance=on"))
        assert {name: sites[name].get(PAGES[name][0]).status for name in PROJECTS} == {
            "stock": 200,
            "shop": 503,
            "chat": 200,
        }
    finally:
        host.check_output(f"rm -f {flag}")


# --- what stops early -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"project_domain": "shop.test"}, "shared serves shop.test for the project shop"),
        (
            {"project_http_port": 443, "project_https_port": 8443},
            "take other names than chat.test, or other ports than 443",
        ),
    ],
)
def test_a_domain_or_a_port_of_another_project_is_refused(host: Host, given: dict[str, Any], words: str) -> None:
    done = play("chat", "site", "-e", json.dumps(given))
    assert done.returncode != 0
    assert words in said(done)
    assert re.search(r"changed=0 .*failed=1", done.stdout)


def test_a_wrong_source_is_refused_before_the_host_changes(host: Host) -> None:
    given = {"project_name": "new", "project_domain": "new.test", "application_requirements_file": "uv.lock"}
    # No ACME server knows that name.
    given["certificates_source"] = "self_signed"
    done = play("stock", "site", "-e", json.dumps(given))
    assert done.returncode != 0
    assert "The project has no uv.lock: commit it, or name another in" in said(done)
    assert re.search(r"changed=0 .*failed=1", done.stdout)


def test_verify_finds_nothing_wrong_on_a_host_of_another_project(host: Host) -> None:
    words = ["-m", "pytest", "--quiet", "molecule/testinfra", "--hosts=all", "-m", "not destructive"]
    command = [sys.executable, *words, f"--ansible-inventory={CACHE / 'inventories/shop'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.destructive
def test_uploads_into_a_folder_that_no_process_may_write_are_refused(host: Host, sites: dict[str, Site]) -> None:
    before = pids(host, "shop")
    commit("shop", "shop/notes/views.py", "import magic", "import magic  # again")
    done = deploy_once("shop", application_media_folder="")
    assert done.returncode != 0
    assert "no process may write, so that every upload fails: keep it with `application_media_folder: shop/media`" in (
        said(done)
    )
    assert pids(host, "shop") == before
    assert sites["shop"].get("/").status == 200


@pytest.mark.destructive
def test_a_release_that_cannot_run_stops_before_the_switch(host: Host, sites: dict[str, Site]) -> None:
    before = pids(host, "stock")
    commit("stock", "mysite/settings.py", "import Path", "import Path\nimport os\nos.environ['KEY']")
    done = deploy_once("stock")
    assert done.returncode != 0
    assert "if that is an environment variable, set it in application_environment" in said(done)
    assert pids(host, "stock") == before
    assert sites["stock"].get("/admin/login/").status == 200
