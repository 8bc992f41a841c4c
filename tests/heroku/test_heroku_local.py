"""The button, tried: build, release phase and processes as on Heroku, from nothing but app.json and its add-ons."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import services
from lab.processes import command_line, descendants
from support import eventually

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
MANIFEST = json.loads((ROOT / "app.json").read_text())
HOST = "slipway-0a1b2c3d4e5f.herokuapp.com"
CLIENT = "198.51.100.7"
# Heroku kills what is left after this time.
SECONDS_TO_END = 30


class Dyno:
    """One process type, as `heroku local` starts it."""

    def __init__(self, app: App, name: str) -> None:
        self.app, self.name, self.log = app, name, app.folder / f"{name}.log"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.app.heroku, "local", self.name, "-f", "Procfile", "-e", ".env", "-p", str(self.app.port)],
            cwd=self.app.source,
            env=self.app.shell | {"DYNO": f"{self.name}.1"},
            stdout=self.log.open("a"),
            stderr=subprocess.STDOUT,
        )

    def processes(self) -> list[int]:
        """Those of the app, without the tool's own."""
        return [pid for pid in descendants(self.process.pid) if not re.match(r"\S*node |$", command_line(pid))]

    def memory(self) -> int:
        """Resident megabytes, where what is shared counts once."""
        sizes = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes()]
        return sum(int(re.findall(r"^Pss:\s+(\d+)", size, re.MULTILINE)[0]) for size in sizes) // 1024

    def end(self) -> float:
        """Ask every process to end and kill what is left, as Heroku does. Returns how long the last one took."""
        began = time.monotonic()
        running = self.processes()
        for pid in running:
            os.kill(pid, signal.SIGTERM)
        while any(Path(f"/proc/{pid}").exists() for pid in running) and time.monotonic() < began + SECONDS_TO_END:
            time.sleep(0.1)
        took = time.monotonic() - began
        self.kill(running)
        self.process.wait(timeout=20)
        return took

    def kill(self, pids: Sequence[int] = ()) -> None:
        for pid in pids or ([*self.processes(), self.process.pid] if self.process.poll() is None else []):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


class App:
    """A copy of the repository, built as Heroku's buildpack builds it."""

    def __init__(self, folder: Path, database: services.Database, broker: services.Broker) -> None:
        self.folder, self.source, self.port = folder, folder / "app", services.free_port()
        self.heroku = [str(HERE / "node_modules/.bin/heroku")]
        self.database, self.broker = database, broker
        # The buildpack's own Python comes first; there is no virtual environment on a dyno.
        self.shell = {
            "PATH": f"{folder}/python/bin:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "HEROKU_SKIP_NEW_VERSION_CHECK": "1",
        }
        attached = {addon["as"]: addon["plan"].partition(":")[0] for addon in MANIFEST["addons"]}
        urls = {"heroku-postgresql": database.url, "cloudamqp": broker.url}
        values = {name: self._value(variable) for name, variable in MANIFEST["env"].items()}
        self.config = {name: value for name, value in values.items() if value is not None}
        self.config |= {f"{name}_URL": urls[service] for name, service in attached.items()}
        # A public authority signs what CloudAMQP shows, and OpenSSL knows those.
        self.config["SSL_CERT_FILE"] = str(broker.authority)
        # What the Python buildpack sets on a dyno of 512 MB.
        self.config["WEB_CONCURRENCY"] = "2"

    @staticmethod
    def _value(variable: dict[str, str]) -> str | None:
        return secrets.token_hex(32) if variable.get("generator") == "secret" else variable.get("value")

    def run(self, *command: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.source, env=self.shell | changes, capture_output=True, text=True, timeout=300, check=False
        )

    def must(self, *command: str | Path, **changes: str) -> str:
        done = self.run(*command, **changes)
        assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def build(self) -> None:
        subprocess.run(["git", "clone", "--quiet", ROOT, self.source], check=True)
        (self.source / ".env").write_text("".join(f"{name}={value}\n" for name, value in self.config.items()))
        self.must(os.environ.get("HEROKU_PYTHON", "/usr/bin/python3"), "-m", "venv", self.folder / "python")
        self.must("pip", "install", "-r", "requirements.txt", "--disable-pip-version-check", "--quiet", "--no-input")
        # Found as the buildpack finds it, and run with the app's config vars.
        script = "find . -maxdepth 3 -type f -name manage.py -printf '%d\\t%P\\n' | sort -nk1 | cut -f2 | head -1"
        manage = self.must("sh", "-c", script).strip()
        self.must("python", manage, "collectstatic", "--noinput", PYTHONPATH=".", **self.config)

    def one_off(self, command: str) -> str:
        """As `heroku run`, and as the script after the first deploy."""
        return self.must(*self.heroku, "local:run", "-e", ".env", "--", "sh", "-c", command)

    def request(self, method: str, path: str, body: Any = None, scheme: str = "https", **headers: str) -> Answer:
        """What the router hands on: it appends the client's address, and says how it came."""
        # From an address that nothing trusts unless app.json says so: the router is on another machine.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40, source_address=("127.0.0.2", 0))
        given = {"Host": HOST, "X-Forwarded-Proto": scheme, "X-Forwarded-Port": "443", "Via": "1.1 heroku-router"}
        given["X-Forwarded-For"] = f"{headers.pop('spoofed', '203.0.113.9')}, {CLIENT}"
        content = None if body is None else json.dumps(body)
        given |= {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, content, given | headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return Answer(answer.status, answer.headers, text)

    def answers(self, path: str) -> bool:
        try:
            return self.request("GET", path).status == 200
        except ConnectionError:
            return False

    def log_in(self, password: str | None = None, **headers: str) -> Answer:
        body = {"email": self.config["ADMIN_EMAIL"], "password": password or self.config["ADMIN_PASSWORD"]}
        return self.request("POST", "/api/auth/login/", body, **headers)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("heroku")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        # Outside of pytest's folders, which no other user may enter.
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        broker = pool.submit(stack.enter_context, services.broker(folders[0]))
        database = stack.enter_context(services.database(folders[1]))
        app = App(folder, database, broker.result())
        app.build()
        yield app


@pytest.fixture(scope="module")
def released(app: App) -> App:
    # As in Procfile, through the tool that reads it.
    output = app.must(*app.heroku, "local", "release", "-f", "Procfile", "-e", ".env")
    assert "release.1 Exited Successfully" in output, output
    created = app.one_off(MANIFEST["scripts"]["postdeploy"])
    assert "created" in created
    return app


@pytest.fixture(scope="module")
def dynos(released: App) -> Iterator[dict[str, Dyno]]:
    dynos = {name: Dyno(released, name) for name in MANIFEST["formation"]}
    try:
        eventually(lambda: released.answers("/health/ready/"), seconds=60)
        eventually(lambda: "default" in released.broker.queues(), seconds=60)
        yield dynos
    except BaseException:
        for dyno in dynos.values():
            print(dyno.log.read_text()[-3000:])
        raise
    finally:
        for dyno in dynos.values():
            dyno.kill()


@pytest.fixture
def session(released: App, dynos: dict[str, Dyno]) -> dict[str, str]:
    answer = released.log_in()
    assert answer.status == 200, answer.text
    return {"Authorization": f"Session {json.loads(answer.text)['session']}"}


def test_the_schema_is_the_published_one() -> None:
    published = HERE / "node_modules/@heroku/mcp-server/dist/utils/app-json.schema.json"
    assert json.loads((HERE / "app-json.schema.json").read_text()) == json.loads(published.read_text())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("CELERY_BROKER_URL", "kafka://u:p@h", "CELERY_BROKER_URL is malformed or of another kind. Write amqp://"),
        ("CELERY_BROKER_URL", "", "CELERY_BROKER_URL is not set. Write amqp://"),
        ("DATABASE_URL", "", "DATABASE_URL is not set. Write postgres://"),
        ("SECRET_KEY", "", "SECRET_KEY is not set. Write a random string"),
        ("ALLOWED_HOSTS", "", "ALLOWED_HOSTS is not set. Write the host names"),
    ],
)
def test_a_build_without_what_it_needs_ends_with_one_sentence(app: App, name: str, value: str, sentence: str) -> None:
    done = app.run("python", "app/manage.py", "collectstatic", "--noinput", **app.config | {name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"Configuration: {sentence}")
    assert len(done.stderr.splitlines()) == 1


def test_the_release_phase_stops_a_release_whose_database_is_away(app: App) -> None:
    done = app.run("app/bin/release", **app.config | {"DATABASE_URL": "postgres://u:p@localhost:1/d"})
    assert done.returncode != 0


def test_pressing_the_button_again_keeps_the_administrator(released: App) -> None:
    assert "unchanged" in released.one_off(MANIFEST["scripts"]["postdeploy"])


def test_the_first_administrator_logs_in_and_sees_the_users(released: App, session: dict[str, str]) -> None:
    me = released.request("GET", "/api/auth/me/", **session)
    user = json.loads(me.text)
    assert (user["email"], user["is_admin"], user["is_superuser"]) == ("admin@example.com", True, True)
    users = json.loads(released.request("GET", "/api/users/", **session).text)
    assert [user["email"] for user in users["results"]] == ["admin@example.com"]


def test_the_session_cookie_is_for_https_only(released: App, dynos: dict[str, Dyno]) -> None:
    cookie = released.log_in().headers["Set-Cookie"]
    assert "Secure" in cookie
    assert "HttpOnly" in cookie


def test_plain_http_is_redirected(released: App, dynos: dict[str, Dyno]) -> None:
    answer = released.request("GET", "/api/docs/?a=b", scheme="http")
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{HOST}/api/docs/?a=b")


def test_https_is_demanded_for_a_year(released: App, dynos: dict[str, Dyno]) -> None:
    policy = released.request("GET", "/api/docs/").headers["Strict-Transport-Security"]
    assert policy == "max-age=31536000; includeSubDomains"


def test_a_name_of_another_domain_is_refused(released: App, dynos: dict[str, Dyno]) -> None:
    assert released.request("GET", "/api/docs/", Host="api.example.com").status == 400


@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs/"])
def test_a_page_has_its_styles_for_ever(path: str, released: App, dynos: dict[str, Dyno]) -> None:
    page = released.request("GET", path)
    assert page.status == 200
    styles = re.findall(r'href="(/static/[^"]+\.css)"', page.text)
    assert styles
    for style in styles:
        answer = released.request("GET", style)
        assert (answer.status, answer.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
        assert "immutable" in answer.headers["Cache-Control"]


def test_the_page_after_the_button_is_there(released: App, dynos: dict[str, Dyno]) -> None:
    assert released.request("GET", MANIFEST["success_url"]).status == 200


def test_a_client_cannot_choose_the_address_that_is_locked_out(released: App, dynos: dict[str, Dyno]) -> None:
    statuses = [released.log_in("wrong", spoofed=f"203.0.113.{number}").status for number in range(6)]
    assert statuses[-1] == 429
    assert released.database.ask("SELECT DISTINCT ip_address FROM axes_accessattempt") == CLIENT
    released.database.ask("DELETE FROM axes_accessattempt")


def test_every_connection_to_the_database_is_encrypted(
    released: App, dynos: dict[str, Dyno], session: dict[str, str]
) -> None:
    used = "SELECT string_agg(DISTINCT ssl::text, ',') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
    assert released.database.ask(f"{used} WHERE usename = 'u1234'") == "true"


def test_a_login_is_recorded_by_the_worker(released: App, dynos: dict[str, Dyno], session: dict[str, str]) -> None:
    before = int(released.database.ask("SELECT count(*) FROM users_loginrecord"))
    assert released.log_in().status == 200
    eventually(lambda: int(released.database.ask("SELECT count(*) FROM users_loginrecord")) > before, seconds=20)


def test_under_load_half_of_the_connections_of_the_plans_are_free(released: App, dynos: dict[str, Dyno]) -> None:
    # A deploy runs the old and the new processes side by side for a while.
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(lambda _: released.log_in(), range(24))} == {200}
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'u1234'"
    figures = int(released.database.ask(count)), released.broker.connections(), len(released.broker.queues())
    print("database, broker, queues:", *figures)
    assert figures[0] <= services.DATABASE_CONNECTIONS // 2
    assert figures[1] <= services.BROKER_CONNECTIONS // 2
    assert figures[2] <= services.BROKER_QUEUES // 2


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_a_process_fits_a_basic_dyno(name: str, dynos: dict[str, Dyno]) -> None:
    print(name, dynos[name].memory(), "MB")
    assert dynos[name].memory() < 512 * 0.75


def test_nothing_is_written_to_the_dyno(released: App, dynos: dict[str, Dyno]) -> None:
    listing = released.must("git", "status", "--porcelain", "--ignored", "--untracked-files=all").splitlines()
    written = [line for line in listing if not re.search(r"/__pycache__/|app/staticfiles/|\.env$", line)]
    assert written == []


def test_beat_ends_within_ten_seconds(dynos: dict[str, Dyno]) -> None:
    assert dynos["beat"].end() < 10


def test_a_request_under_way_is_answered_when_the_dyno_ends(
    released: App, dynos: dict[str, Dyno], session: dict[str, str]
) -> None:
    with ThreadPoolExecutor() as pool:
        with released.database.locked("django_session"):
            under_way = pool.submit(released.request, "GET", "/api/auth/me/", **session)
            eventually(lambda: released.database.waiting() == 1, seconds=10)
            ending = pool.submit(dynos["web"].end)
            time.sleep(3)
            assert not ending.done()
        assert under_way.result().status == 200
        assert ending.result() < SECONDS_TO_END


CLEANUP = "styleguide_example.authentication.tasks.login_failures_clear_expired"


@pytest.fixture
def task_under_way(released: App, dynos: dict[str, Dyno]) -> Iterator[ExitStack]:
    """A task that waits for a table, and that table's lock."""
    if dynos["worker"].process.poll() is not None:
        dynos["worker"].start()
    eventually(lambda: released.broker.queues()["default"] == 0, seconds=30)
    with ExitStack() as lock:
        lock.enter_context(released.database.locked("axes_accessattempt"))
        send = f"from celery import current_app; current_app.send_task('{CLEANUP}')"
        released.one_off(f'python app/manage.py shell -c "{send}"')
        eventually(lambda: released.database.waiting() == 1, seconds=30)
        yield lock


def test_a_task_that_ends_in_time_ends_once(released: App, dynos: dict[str, Dyno], task_under_way: ExitStack) -> None:
    with ThreadPoolExecutor() as pool:
        ending = pool.submit(dynos["worker"].end)
        time.sleep(5)
        assert not ending.done()
        task_under_way.close()
        assert ending.result() < SECONDS_TO_END
    # The broker may count what the worker said last a moment later. A task that went back would stay.
    eventually(lambda: released.broker.queues()["default"] == 0, seconds=10)


def test_a_task_that_is_too_slow_goes_back_to_the_queue(
    released: App, dynos: dict[str, Dyno], task_under_way: ExitStack
) -> None:
    # In the midst of a query it does not notice that it is asked to end: then Heroku kills it.
    dynos["worker"].end()
    assert released.broker.queues()["default"] == 1
    task_under_way.close()
    dynos["worker"].start()
    eventually(lambda: released.broker.queues()["default"] == 0, seconds=30)
    eventually(lambda: "task_succeeded" in dynos["worker"].log.read_text().rpartition(CLEANUP)[2], seconds=10)
