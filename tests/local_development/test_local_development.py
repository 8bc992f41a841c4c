"""Local development, by the commands of the READMEs: a database, the API, the front end, and a person who looks."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import Visitor
from playwright.sync_api import Playwright, expect
from support import Administrator, Secret, eventually

pytest_plugins = ["browser_fixtures"]

ROOT = Path(__file__).parents[2]
API, FRONTEND = "http://localhost:8000", "http://localhost:5173"


def commands(readme: str, *, blocks: int = 1) -> list[str]:
    """The first blocks of commands in a README, without comments."""
    found = re.findall(r"^```sh\n(.*?)^```", (ROOT / readme).read_text(), re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for line in "".join(found[:blocks]).splitlines()]


def api_commands() -> list[str]:
    """Those of app/README.md, without a terminal and on a database server of its own, as its superuser."""
    *lines, serve = [line for line in commands("app/README.md", blocks=2) if not line.startswith("sudo ")]
    script = "\n".join([*lines, f"exec {serve}"]).replace("scripts/bootstrap.sh", "scripts/bootstrap.sh --yes")
    return ["pg_virtualenv", "-t", "sh", "-ec", 'export USER="$PGUSER"\n' + script]


def free(url: str) -> bool:
    port = int(url.rpartition(":")[2])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def serving(command: list[str], folder: Path, url: str, path: str, log: Path, **environment: str) -> Iterator[None]:
    """Run a server until the end of the block, and wait for its first answer."""
    if not free(url):
        pytest.fail(f"Something else answers at {url}: stop it, then run the test again.", pytrace=False)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=output, stderr=output, start_new_session=True
        )
    try:

        def answers() -> bool:
            if process.poll() is not None:
                pytest.fail(f"{command[-1]} in {folder}/ stopped:\n{log.read_text()}", pytrace=False)
            with urllib.request.urlopen(f"{url}{path}", timeout=5) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)

        eventually(answers, seconds=180)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def person() -> Administrator:
    return Administrator("admin@example.com", Secret(secrets.token_urlsafe()))


@pytest.fixture(scope="module")
def visitor(
    tmp_path_factory: pytest.TempPathFactory, person: Administrator, playwright: Playwright
) -> Iterator[Visitor]:
    folder = tmp_path_factory.mktemp("local")
    # A copy: the virtual environment that the README makes is not for the checkout.
    copy = shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    install, serve = commands("examples/spa/README.md")
    api = serving(api_commands(), copy, API, "/health/live/", folder / "api.log", ADMIN_PASSWORD=person.password)
    frontend_command = ["sh", "-ec", f"{install}\nexec {serve}"]
    frontend = serving(frontend_command, ROOT / "examples/spa", FRONTEND, "/", folder / "frontend.log")
    with api, frontend:
        visitor = Visitor(playwright, folder, {"localhost": "localhost"})
        yield visitor
        visitor.context.close()


def test_a_developer_logs_in_sees_the_users_and_logs_out(visitor: Visitor, person: Administrator) -> None:
    visitor.page.goto(FRONTEND)
    visitor.log_in(person)
    visitor.expect_signed_in(person)
    expect(visitor.page.get_by_role("row")).to_have_count(1 + 10)
    cookie = visitor.cookie(API)
    assert cookie
    flags = {name: value for name, value in cookie.items() if name in ("httpOnly", "secure", "sameSite")}
    assert flags == {"httpOnly": True, "secure": False, "sameSite": "Lax"}
    visitor.log_out()
    assert visitor.cookie(API) is None
    assert not any("authorization" in headers for _, headers in visitor.sent(API))
    assert visitor.complaints == []
