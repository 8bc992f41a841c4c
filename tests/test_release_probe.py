"""What a slot answers, asked through its own socket as the proxy asks."""

import contextlib
import http.server
import socketserver
import threading

import pytest
from ansible_collections.slipway.host.plugins.module_utils.release.probe import Probe
from ansible_collections.slipway.host.plugins.module_utils.release.slots import Slots
from release_host import make_project


@contextlib.contextmanager
def serving(path, status):
    """A server on a Unix socket that answers everything with one status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"said")

        def address_string(self):
            return "socket"

        def log_message(self, *words):
            """Nothing: the output is the test's."""

    path.parent.mkdir(parents=True)
    with socketserver.UnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/health/", 200, (True, "200")),
        ("/health/", 302, (False, "302 said")),
        ("/health/", 503, (False, "503 said")),
        ("", 200, (True, "200")),
        ("", 404, (True, "404")),
        ("", 500, (False, "500 said")),
    ],
)
def test_an_answer_is_good_where_the_project_says_so(tmp_path, path, status, expected):
    with serving(tmp_path / "slots/blue/web.sock", status):
        answer = Probe("shop.example", path).request(Slots(make_project(tmp_path)), "blue")
    assert (answer.ok, answer.text) == expected


def test_a_slot_that_nobody_serves_is_not_healthy(tmp_path):
    answer = Probe("shop.example", "/").request(Slots(make_project(tmp_path)), "blue")
    assert (answer.ok, answer.text) == (False, "[Errno 2] No such file or directory")
