"""Three projects that are not ours, on one host: each serves and is released, and leaves the others alone."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import inventory
import pytest
import yaml
from support import Site, eventually
from testinfra.host import Host

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/projects"
GIT = ["git", "-c", "user.name=Slipway", "-c", "user.email=slipway@example.com"]
PROJECTS = ("stock", "shop", "chat")
# Each project's page, what is on it before and after a second release, and what makes the difference.
PAGES = {
    "stock": ("/admin/login/", "Django administration", "Second edition"),
    "shop": ("/", "first edition", "second edition"),
    "chat": ("/", "first edition", "second edition"),
}
CHANGES = {
    "stock": ("mysite/urls.py", "urlpatterns = [", "admin.site.site_header = 'Second edition'\nurlpatterns = ["),
    "shop": ("shop/notes/views.py", "first edition", "second edition"),
    "chat": ("src/chat/urls.py", "first edition", "second edition"),
}

pytestmark = [pytest.mark.group("projects"), pytest.mark.units(*(f"{name}-*" for name in PROJECTS))]
every_project = pytest.mark.parametrize("name", PROJECTS)


@pytest.fixture(scope="session")
def sites(host: Host) -> dict[str, Site]:
    """The site of each project by its name."""
    address = inventory.variables(host)["ansible_host"]
    authority = {name: CACHE / "inventories" / name / ".secrets/ca.crt" for name in PROJECTS}
    return {name: Site(address, f"{name}.test", 80, 443, authority[name]) for name in PROJECTS}


def play(name: str, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", str(CACHE / "inventories" / name), f"ansible/{playbook}.yml", *options]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_FORCE_COLOR": "false"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a play said, on one line, since Ansible folds its lines."""
    return " ".join((done.stdout + done.stderr).split())


def commit(name: str, file: str, old: str, new: str) -> None:
    path = CACHE / name / file
    path.write_text(path.read_text().replace(old, new, 1))
    subprocess.run([*GIT, "-C", CACHE / name, "commit", "--quiet", "--all", "--message", file], check=True)


def pids(host: Host, name: str) -> dict[str, str]:
    """The main process of each unit of a project."""
    units = host.check_output(f"systemctl list-units --plain --no-legend '{name}-*@*.service'").splitlines()
    shown = "systemctl show --property=MainPID --value %s"
    return {unit.split()[0]: host.check_output(shown, unit.split()[0]) for unit in units}


def active(host: Host, pattern: str) -> list[str]:
    """The units that run, of those whose name is like this."""
    listed = host.check_output("systemctl list-units --plain --no-legend --state=active %s", pattern)
    return [line.split()[0] for line in listed.splitlines()]


def target(host: Host, link: str) -> str:
    """The name of what a link leads to."""
    return Path(host.check_output("readlink %s", link)).name


def provision_shop(**variables: Any) -> subprocess.CompletedProcess[str]:
    return play("shop", "site", "--tags", "application,release", "-e", json.dumps(variables))


def manage(host: Host, name: str, code: str) -> str:
    return str(host.check_output(f"{name}-manage shell --no-imports -c %s", code))


# --- each serves ---------------------------------------------------------------------------------------------------


@every_project
def test_a_project_serves_its_page_over_tls_under_its_own_name(sites: dict[str, Site], name: str) -> None:
    path, words, _ = PAGES[name]
    answer = sites[name].get(path)
    assert answer.status == 200
    assert words in answer.body.decode()


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("stock", "/static/admin/css/base.css", b"body"),
        ("shop", "/static/css/project.css", b"teal"),
        # Made on the host, by a command in the folder of the release.
        ("shop", "/static/css/built.css", b".built { color: /srv/shop/releases/"),
        ("chat", "/assets/chat.css", b"olive"),
    ],
)
def test_static_files_come_from_the_proxy(sites: dict[str, Site], name: str, path: str, words: bytes) -> None:
    answer = sites[name].get(path)
    assert answer.status == 200
    assert words in answer.body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "processes"), [("stock", {"web"}), ("shop", {"web", "worker", "beat"}), ("chat", {"web"})]
)
def test_a_project_runs_the_processes_that_it_defines_and_no_others(host: Host, name: str, processes: set[str]) -> None:
    assert {unit.split("@")[0] for unit in pids(host, name)} == {f"{name}-{process}" for process in processes}


@pytest.mark.destructive
def test_an_error_of_a_project_without_logging_is_in_the_journal(host: Host, sites: dict[str, Site]) -> None:
    assert sites["shop"].ask("POST", "/files/?title=x", form={"text": "x"}).status == 500
    said = host.check_output("journalctl --output=cat --unit='shop-web@*'")
    assert "ERROR django.request: Internal Server Error: /files/" in said
    assert "MultiValueDictKeyError: 'name'" in said


@pytest.mark.destructive
def test_a_task_is_carried_out(host: Host, sites: dict[str, Site]) -> None:
    """The Procfile alone names the queue."""
    manage(
        host,
        "shop",
        "from shop.notes.tasks import remember; remember.apply_async(['tea'], queue='mail').get(timeout=20)",
    )
    assert not re.search(r"\b0 notes", sites["shop"].get("/").body.decode())


def test_one_clock_ticks_even_while_two_slots_run(host: Host) -> None:
    """Beat of a project that has no lock of its own holds one of the host."""
    assert host.run("flock --nonblock /srv/shop/data/beat.lock true").rc == 1


def frame(text: str) -> bytes:
    """A text as a client sends it through a WebSocket; a mask of zeros is one too."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()


def upgrade(site: Site, path: str, key: str = "c2xpcHdheS1pcy1oZXJlIQ==") -> tuple[socket.socket, str]:
    """Ask for a WebSocket; the connection, and the head of the answer."""
    link = site.open().sock
    lines = [f"GET {path} HTTP/1.1", f"Host: {site.domain}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Origin: https://{site.domain}", "", ""]
    link.sendall("\r\n".join(lines).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += link.recv(1) or b"\r\n\r\n"
    return link, head.decode()


def test_a_websocket_passes_the_proxy(sites: dict[str, Site]) -> None:
    link, head = upgrade(sites["chat"], "/ws/")
    assert head.startswith("HTTP/1.1 101")
    link.sendall(frame("hello"))
    assert link.recv(100).endswith(b"You said: hello")


def test_a_project_without_websockets_gets_no_upgrade(sites: dict[str, Site]) -> None:
    _, head = upgrade(sites["shop"], "/")
    assert not head.startswith("HTTP/1.1 101")


# --- what a project writes ------------------------------------------------------------------------------------------


@pytest.mark.destructive
def test_what_a_visitor_sent_is_served_and_can_do_nothing(sites: dict[str, Site]) -> None:
    sent = sites["shop"].ask("POST", "/files/?name=page.html", form={"text": "<script>"})
    # A library of the distribution told it, which the inventory has since the requirements need it.
    assert (sent.status, sent.headers["X-Kind"]) == (200, "text/plain")
    answer = sites["shop"].get(sent.body.decode())
    assert (answer.status, answer.body) == (200, b"text=%3Cscript%3E")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/media/.env", "/media/../data/beat.lock", "/media/%2e%2e/history.jsonl"])
def test_nothing_else_is_served_with_it(sites: dict[str, Site], path: str) -> None:
    assert sites["shop"].get(path).status in (400, 404)


@pytest.mark.parametrize("command", ["ls /srv/shop/data", "ls /srv/shop/media", "cat /etc/shop/*.env"])
def test_a_project_cannot_read_what_another_keeps(host: Host, command: str) -> None:
    assert "Permission denied" in host.run("runuser -u chat -- sh -c %s", command).stderr


def test_a_project_cannot_reach_the_database_of_another(host: Host) -> None:
    code = "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'].replace('/chat?', '/shop?'))"
    done = host.run("chat-manage shell --no-imports -c %s", code)
    assert done.rc != 0
    assert 'no pg_hba.conf entry for host "[local]", user "chat", database "shop"' in done.stdout + done.stderr


@pytest.mark.parametrize(("database", "answers"), [("chat-reports", True), ("shop-reports", False)])
def test_a_second_database_is_its_project_s(host: Host, database: str, answers: bool) -> None:
    url = f"os.environ['DATABASE_URL'].replace('/chat?', '/{database}?')"
    done = host.run("chat-manage shell --no-imports -c %s", f"import os, psycopg; psycopg.connect({url})")
    assert (done.rc == 0) == answers


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


def deploy_with(requirements: str, files: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """Release the stock project with other files of requirements, which its checkout does not keep."""
    for name, text in files.items():
        (CACHE / "stock" / name).write_text(text)
    subprocess.run([*GIT, "-C", CACHE / "stock", "add", *files], check=True)
    subprocess.run([*GIT, "-C", CACHE / "stock", "commit", "--quiet", "--message", requirements], check=True)
    try:
        return play("stock", "deploy", "-e", json.dumps({"application_requirements_file": requirements, **more}))
    finally:
        subprocess.run([*GIT, "-C", CACHE / "stock", "reset", "--quiet", "--hard", "HEAD^"], check=True)


@pytest.mark.destructive
def test_a_pyproject_without_a_lock_is_installed_with_a_warning_and_another_python(
    host: Host, sites: dict[str, Site]
) -> None:
    done = deploy_with("pyproject.toml", {"pyproject.toml": PYPROJECT}, application_python="/bin/python3")
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
def test_a_release_that_cannot_run_stops_before_the_switch(host: Host, sites: dict[str, Site]) -> None:
    before = pids(host, "stock")
    commit("stock", "mysite/settings.py", "import Path", "import Path\nimport os\nos.environ['KEY']")
    try:
        done = play("stock", "deploy")
    finally:
        subprocess.run([*GIT, "-C", CACHE / "stock", "reset", "--quiet", "--hard", "HEAD^"], check=True)
    assert done.returncode != 0
    assert "if that is an environment variable, set it in application_environment" in said(done)
    assert pids(host, "stock") == before
    assert sites["stock"].get("/admin/login/").status == 200
