"""How gunicorn runs the API. A value that differs between hosts comes from the environment."""

import logging.config
import os
import pathlib
import sys

from gunicorn import glogging
from gunicorn.config import Config

# gunicorn reads this file before it puts the application on the import path.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from config.env import integer
from config.settings.logging import LOGGING


class Logger(glogging.Logger):
    """Send gunicorn's own events through the application's formatter."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        logging.config.dictConfig(LOGGING)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def _bind() -> str:
    # A socket that systemd passes (LISTEN_FDS) wins over all of these, inside gunicorn.
    if address := os.environ.get("WEB_BIND"):
        return address
    if os.environ.get("PORT"):
        return f"0.0.0.0:{integer('PORT', minimum=1, maximum=65535)}"
    return "127.0.0.1:8000"


bind = _bind()
backlog = 2048
# One worker per core serves most requests when the database shares the machine; never
# one alone, because a single slow request would then stop all others.
workers = integer("WEB_CONCURRENCY", default=max(2, os.cpu_count() or 2), minimum=1)
# Loading before forking shares memory, and makes "ready" mean that the application loaded.
preload_app = True
# The heartbeat file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # gunicorn makes an unnamed file.
timeout = 30
# A platform kills 30 seconds after it asked for the end.
graceful_timeout = 25
# A guard against slow leaks; the jitter keeps workers from leaving together.
max_requests = 10000
max_requests_jitter = 1000
control_socket_disable = True
# As long as the proxy takes, whose refusal has the shape of the API's errors.
limit_request_line = 8190

# Only a proxy on this machine may say that a request came over HTTPS. A unix socket is always
# trusted: its file mode decides who connects. A platform's router needs FORWARDED_ALLOW_IPS.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
# The one header that proxies and routers set themselves, whatever the client sent.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# SCRIPT_NAME and PATH_INFO would be believed too, and clients can send those through a router.
forwarder_headers = ""

# The proxy keeps the access log; the API logs one line per request itself.
accesslog = None
logger_class = Logger
