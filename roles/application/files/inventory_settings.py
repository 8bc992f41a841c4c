"""The project's own settings, over them what the inventory says in `application_settings`.

Two things more, for projects that know nothing of this host: a log of their errors, and the address of each client.
"""

import importlib
import json
import logging
import os
from typing import Any

from django.core.signals import request_started

# Where these are all that LOGGING has, and that is Django's own default, no log has what went wrong.
SILENT = ("django.utils.log.AdminEmailHandler", "logging.NullHandler")


def with_log(given: dict[str, Any]) -> dict[str, Any]:
    """LOGGING, with a handler for the journal where it has none that writes."""
    handlers, root = given.get("handlers", {}), given.get("root", {})
    if any(each.get("class") not in SILENT for each in handlers.values()):
        return given
    level = getattr(logging, os.environ.get("LOG_LEVEL", "").upper(), logging.INFO)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        **given,
        "formatters": {**given.get("formatters", {}), "journal": {"format": "%(levelname)s %(name)s: %(message)s"}},
        "handlers": {**handlers, "journal": {"class": "logging.StreamHandler", "formatter": "journal"}},
        "root": {"level": level, **root, "handlers": [*root.get("handlers", []), "journal"]},
    }


def tell_client(
    sender: object, *, environ: dict[str, Any] | None = None, scope: dict[str, Any] | None = None, **_: object
) -> None:
    """Give a request the address that the proxy saw: behind a unix socket, servers know none.

    Only the proxy can reach that socket, and it sets this header whatever a client sent.
    """
    if environ is not None and not environ.get("REMOTE_ADDR") and "HTTP_X_REAL_IP" in environ:
        environ["REMOTE_ADDR"] = environ["HTTP_X_REAL_IP"]
    if scope is not None and not scope.get("client"):
        sent = dict(scope["headers"]).get(b"x-real-ip")
        # uvicorn logs it, and takes a tuple alone.
        scope["client"] = (sent.decode("latin1"), 0) if sent else None


# Django says so before it reads the request, to WSGI and to ASGI.
request_started.connect(tell_client)
_here, _project = os.environ["DJANGO_SETTINGS_MODULE"], os.environ["PROJECT_SETTINGS_MODULE"]
# What settings import may need settings itself: it gets the project's.
os.environ["DJANGO_SETTINGS_MODULE"] = _project
try:
    _settings = importlib.import_module(_project)
finally:
    os.environ["DJANGO_SETTINGS_MODULE"] = _here
globals().update({name: getattr(_settings, name) for name in dir(_settings) if name.isupper()})
globals().update(json.loads(os.environ["PROJECT_SETTINGS"]))
# A project that sets logging up by itself says so, or has a handler by now.
if globals().get("LOGGING_CONFIG", True) and not logging.getLogger().handlers:
    LOGGING = with_log(globals().get("LOGGING") or {})
