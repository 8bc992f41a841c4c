"""One line of JSON per event on stdout, the same for Django, gunicorn and Celery.

gunicorn uses this module before Django is loaded, so it imports nothing of Django.
"""

import logging
import re

import structlog
from structlog.typing import EventDict, Processor

from config.env import choice

LOG_LEVEL = choice(
    "LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
# Set to console to read the log on a terminal; a log collector needs json.
LOG_FORMAT = choice("LOG_FORMAT", default="json", choices=("json", "console"))

_SECRET = re.compile(r"password|passwd|secret|token|cookie|authorization|session_?(id|key)", re.I)


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A last line of defence: no secret gets out because someone logged it by name."""
    return {key: "[redacted]" if _SECRET.search(key) else value for key, value in event.items()}


_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)

# Plain tracebacks in both: the richer ones print local variables, and so passwords.
_RENDERERS: dict[str, list[Processor]] = {
    "json": [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str),
    ],
    "console": [
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _SHARED,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                *_RENDERERS[LOG_FORMAT],
            ],
        }
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "structured",
        }
    },
    "root": {"handlers": ["stdout"], "level": LOG_LEVEL},
    "loggers": {
        # Django's own handlers would print these a second time, in another format.
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # The request log has one line per request already, with the trace of a failure.
        "django.request": {"level": "CRITICAL"},
        # Its other lines name neither account nor address; lockout.py logs a lockout.
        "axes": {"level": "ERROR"},
        # django-structlog reports each task; Celery's own lines would repeat it.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "CRITICAL"},
    },
}


structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
logging.captureWarnings(True)

# One line per request, at its end. The proxy's log has the client address.
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True
DJANGO_STRUCTLOG_CELERY_ENABLED = True
