"""Three projects that are not ours, on one host: each serves, and has what it needs."""

import platform
import re
import socket

import pytest
from projects import CACHE, MARKS, PAGES, every_project, manage, pids
from support import Site, eventually
from testinfra.host import Host

pytest_plugins = ["projects_fixtures"]
pytestmark = MARKS

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
        # Made on the host by Node of the version that package.json names, in the folder of the release.
        ("shop", "/static/css/built.css", b".built { color: v24."),
        ("shop", "/static/css/built.css", b" /srv/shop/releases/"),
        ("chat", "/assets/chat.css", b"olive"),
    ],
)
def test_static_files_come_from_the_proxy(sites: dict[str, Site], name: str, path: str, words: bytes) -> None:
    answer = sites[name].get(path)
    assert answer.status == 200
    assert words in answer.body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["stock", "shop"])
def test_the_admin_has_its_styles(sites: dict[str, Site], name: str) -> None:
    page = sites[name].get("/admin/login/").body.decode()
    styles = re.findall(r'<link rel="stylesheet" href="(/[^"]+)"', page)
    assert len(styles) > 2
    assert {sites[name].get(path).status for path in styles} == {200}


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


@pytest.mark.destructive
def test_what_beat_sends_is_carried_out(host: Host) -> None:
    """Beat reads its schedule from the database, as django_celery_beat has it."""
    models, notes = "from django_celery_beat.models import *", "from shop.notes.models import Note"
    every = "IntervalSchedule.objects.create(every=1, period='seconds')"
    what = "name='tick', task='shop.notes.tasks.remember', args='[0]', queue='mail'"
    manage(host, "shop", f"{models}; PeriodicTask.objects.create({what}, interval={every})")
    counted = f"{notes}; print(Note.objects.filter(text='0').count())"
    try:
        assert eventually(lambda: manage(host, "shop", counted).splitlines()[-1] != "0", seconds=30)
    finally:
        forget = "IntervalSchedule.objects.all().delete(); Note.objects.filter(text='0').delete()"
        manage(host, "shop", f"{models}; {notes}; {forget}")


def test_the_python_of_a_project_comes_from_the_mirror(host: Host) -> None:
    asked = (CACHE / "shop/pyproject.toml").read_text()
    said = manage(host, "shop", "import sys; print(sys.version.split()[0], sys.base_prefix)").splitlines()[-1]
    version, prefix = said.split()
    assert f"=={version.rpartition('.')[0]}.*" in asked
    assert version == platform.python_version()
    assert prefix.startswith("/srv/shop/pythons/")
    assert host.check_output("/usr/bin/python3 --version") != f"Python {platform.python_version()}"


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
