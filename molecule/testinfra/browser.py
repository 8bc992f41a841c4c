"""The system's own Chromium, as one person uses it: a fresh profile, and a record of what it sent.

TLS is verified as for anybody; what the tests add is trust in given certificates. Names are looked up in what the
tests say and nowhere else, so that a request to any other host fails.
"""

from __future__ import annotations

import http.server
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Cookie, Playwright, Request, Response, expect
from support import Administrator

SCREENSHOTS = Path(__file__).parents[2] / ".cache" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # The tests run as root.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The values of Chromium's setting "Third-party cookies". Its default depends on who built it: Debian's blocks them.
COOKIE_CONTROLS = {"allowed": 0, "blocked": 1}


def executable() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "No browser is installed: run apt-get install chromium, or install Google Chrome."
    return found


def trust(home: Path, *certificates: Path) -> None:
    """Let a browser whose HOME this is trust these authorities.

    Chromium reads this NSS database where it exists, and ~/.local/share/pki/nssdb only where it does not.
    """
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    for number, certificate in enumerate(certificates):
        subprocess.run([*certutil, "-A", "-n", str(number), "-t", "C,,", "-i", certificate], check=True)


class Visitor:
    """One person's browser. `addresses` says where each name is: an address, or one with a port."""

    def __init__(
        self, playwright: Playwright, home: Path, addresses: dict[str, str], *, third_party_cookies: str = "allowed"
    ) -> None:
        profile = Path(tempfile.mkdtemp(dir=home))
        preferences = profile / "Default" / "Preferences"
        preferences.parent.mkdir()
        preferences.write_text(dumps({"profile": {"cookie_controls_mode": COOKIE_CONTROLS[third_party_cookies]}}))
        rules = [f"MAP {name} {address}" for name, address in addresses.items()]
        # A profile on disk: what Playwright otherwise opens is incognito, where third-party cookies are blocked.
        self.context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable(),
            args=[*ARGUMENTS, f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND'])}"],
            env={**os.environ, "HOME": str(home)},
            viewport={"width": 1280, "height": 800},
        )
        self.context.on("request", lambda request: self.requests.append(request))
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.renew()

    def renew(self) -> Visitor:
        """Become somebody whom nobody knows: without cookies, in a tab of its own, and nothing recorded."""
        for page in self.context.pages[1:]:
            page.close()
        self.context.clear_cookies()
        self.page = self.context.new_page()
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        return self

    def _hear(self, message: ConsoleMessage) -> None:
        """Keep errors, such as what a Content-Security-Policy blocked; an answer such as 401 is none of the page."""
        if message.type == "error" and not message.text.startswith("Failed to load resource: the server responded"):
            self.complaints.append(message.text)

    def cookie(self, url: str) -> Cookie | None:
        """The session cookie that the browser would keep for this URL, if any."""
        return next((cookie for cookie in self.context.cookies(url) if cookie["name"] == "sessionid"), None)

    def sent(self, url: str) -> list[tuple[str, dict[str, str]]]:
        """URL and headers of each request below this URL, as they left the browser: with cookies."""
        return [(request.url, request.all_headers()) for request in self.requests if request.url.startswith(url)]

    def exchange(self, url: str, script: str, argument: Any) -> tuple[dict[str, str], int]:
        """Run a script in the page; gives the headers of its request to this URL, and the status of the answer.

        As the network saw both: the page, and so Playwright, gets nothing of some answers.
        """
        asked: set[str] = set()
        sent: dict[str, dict[str, str]] = {}
        answered: dict[str, int] = {}

        def note(it: dict[str, Any]) -> None:
            if it["request"]["url"] == url:
                asked.add(it["requestId"])

        network = self.context.new_cdp_session(self.page)
        network.on("Network.requestWillBeSent", note)
        network.on("Network.requestWillBeSentExtraInfo", lambda it: sent.update({it["requestId"]: it["headers"]}))
        network.on("Network.responseReceivedExtraInfo", lambda it: answered.update({it["requestId"]: it["statusCode"]}))
        network.send("Network.enable")
        self.page.evaluate(script, argument)
        for _ in range(100):
            for number in asked & sent.keys() & answered.keys():
                return {name.lower(): value for name, value in sent[number].items()}, answered[number]
            self.page.wait_for_timeout(100)
        raise AssertionError(f"no answer of {url} within 10 s")

    def screenshot(self, name: str) -> Path:
        """A picture of the page as it is."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path

    def screenshots(self, name: str) -> None:
        """A picture of the page in each colour scheme."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.screenshot(f"{name}-{scheme}")
        self.page.emulate_media(color_scheme="null")

    # --- the example front end -----------------------------------------------------------------------------------

    def log_in(self, person: Administrator) -> Response:
        """Fill in the form, and gives the answer to it; waits where the proxy wants fewer logins."""
        self.page.get_by_label("Email", exact=True).fill(person.email)
        self.page.get_by_label("Password", exact=True).fill(person.password)
        for _ in range(10):
            with self.page.expect_response("**/api/auth/login/") as answered:
                self.page.get_by_role("button", name="Log in").click()
            if answered.value.status != 429:
                break
            self.page.wait_for_timeout(2000)
        return answered.value

    def expect_signed_in(self, person: Administrator) -> None:
        # `expect` would print the page, with what is in its password field.
        self.page.get_by_text(f"Signed in as {person.email}").wait_for(timeout=10_000)

    def log_out(self) -> None:
        self.page.get_by_role("button", name="Log out").click()
        expect(self.page.get_by_role("heading", name="Log in")).to_be_visible()


class _EmptyPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>Somebody else's page</title><h1>Somebody else's page</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def somebody_elses_server(folder: Path, *names: str) -> Iterator[tuple[str, Path]]:
    """Serve one page over TLS under each of these names; gives the address and the certificate to trust."""
    certificate, key = folder / "server.crt", folder / "server.key"
    alternatives = ",".join(f"DNS:{name}" for name in names)
    program = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=somebody"
    command = [
        *program.split(),
        "-addext",
        f"subjectAltName={alternatives}",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        # The handshake is the connection's own business: an idle connection must not keep others waiting.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", certificate
        server.shutdown()
