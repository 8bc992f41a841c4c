"""The address of its client reaches a project behind a unix socket, where its server knows none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from django_project import PYTHON, DjangoProject
from repository import ROOT

URLS = """
    from django.http import JsonResponse
    from django.urls import path

    urlpatterns = [path("", lambda request: JsonResponse([request.META.get("REMOTE_ADDR")], safe=False))]
"""
WSGI = """
import json, sys
from wsgiref.util import setup_testing_defaults
from django.core.wsgi import get_wsgi_application

environ = {"HTTP_HOST": "shop.example", **json.loads(sys.argv[1])}
setup_testing_defaults(environ)
print(b"".join(get_wsgi_application()(environ, lambda status, headers: None)).decode())
"""
ASGI = """
import asyncio, json, sys
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application

given = json.loads(sys.argv[1])
names = {"HTTP_X_REAL_IP": b"x-real-ip"}
headers = [(names[name], value.encode()) for name, value in given.items() if name in names]
scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "client": None}
scope |= {"headers": [(b"host", b"shop.example"), *headers]}
scope |= {"client": (given["REMOTE_ADDR"], 1)} if given["REMOTE_ADDR"] else {}

async def ask():
    server = ApplicationCommunicator(get_asgi_application(), scope)
    await server.send_input({"type": "http.request", "body": b""})
    await server.receive_output()
    print((await server.receive_output())["body"].decode())
    # uvicorn writes its log from it.
    "%s:%d" % scope["client"]

asyncio.run(ask())
"""


@pytest.mark.parametrize("server", [WSGI, ASGI], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({"REMOTE_ADDR": "", "HTTP_X_REAL_IP": "2001:db8::7"}, "2001:db8::7"),
        # A server that listens on a port knows better than its client.
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_REAL_IP": "203.0.113.7"}, "192.0.2.1"),
    ],
)
def test_a_request_has_the_address_that_the_proxy_saw(
    tmp_path: Path, server: str, given: dict[str, str], seen: str
) -> None:
    project = DjangoProject(tmp_path)
    project.write("shop_urls.py", URLS)
    done = subprocess.run(
        [PYTHON, "-c", server, json.dumps(given)],
        cwd=project.folder,
        env={
            "DATABASE": json.dumps(project.database),
            "DJANGO_SETTINGS_MODULE": "inventory_settings",
            "PROJECT_SETTINGS_MODULE": "shop_settings",
            "PROJECT_SETTINGS": "{}",
            "PYTHONPATH": f"{ROOT}/roles/application/files",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, [json.dumps([seen])]), done.stderr
