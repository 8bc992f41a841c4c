"""Tasks. Nothing that the broker accepted is lost; a task may run twice, so it must not mind."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from config.env import boolean, broker, file, integer, stop
from config.settings.sessions import SESSION_CLEANUP_INTERVAL_SECONDS

CELERY_BROKER_URL = broker("CELERY_BROKER_URL")

_scheme = urlsplit(CELERY_BROKER_URL).scheme
_authorities = file("CELERY_BROKER_CA_FILE")
# Set false for a platform's rediss:// that signs its own certificate, on a network that you trust.
_verified = boolean("CELERY_BROKER_TLS_VERIFY", default=True)
if not _verified and _scheme != "rediss":
    stop("CELERY_BROKER_TLS_VERIFY", "can be false for rediss:// only. Remove it.")

if _scheme == "amqps":
    # None stands for the name in the URL. Without it a certificate for any name would do.
    CELERY_BROKER_USE_SSL: dict[str, Any] = {"ca_certs": _authorities, "server_hostname": None}
elif _scheme == "rediss":
    CELERY_BROKER_USE_SSL = {
        "ssl_ca_certs": _authorities,
        "ssl_cert_reqs": "required" if _verified else "none",
        "ssl_check_hostname": _verified,
    }

CELERY_TASK_DEFAULT_QUEUE = "default"
# Nothing reads results, so none are kept, and there is nothing of theirs to clean up.
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None
CELERY_TIMEZONE = "UTC"

# A message is acknowledged after its task, and goes back when the worker dies under it.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# A task of another release is kept for its workers.
CELERY_WORKER_CONSUMER = "styleguide_example.tasks.parking:ParkingConsumer"

# The process manager must wait longer than the time limit before it kills a worker.
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = integer("WORKER_SOFT_SHUTDOWN_SECONDS", default=60)

# A worker outlives any outage of the broker.
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None

# A web request that publishes gives up after about two seconds. The timeout is for one attempt
# at a broker that does not even refuse.
CELERY_BROKER_CONNECTION_TIMEOUT = 1
CELERY_TASK_PUBLISH_RETRY = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.2,
}

# structlog's settings apply; see config/settings/logging.py.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

if _scheme in ("amqp", "amqps"):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum"
    # A direct exchange cannot carry the delayed delivery that quorum queues need for retries.
    CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"
    CELERY_WORKER_DETECT_QUORUM_QUEUES = True
    # Without it, a message that the broker never stored counts as sent.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"confirm_publish": True}
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        # Redis hands a task out again after this time: keep it above the longest task and ETA.
        "visibility_timeout": 3600,
        # Look for tasks of dead workers every 5 seconds; the default takes 100.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 1,
    }

# One that may run twice: another release's stands by until this one stops.
CELERY_BEAT_SCHEDULER = "styleguide_example.tasks.beat:LockedScheduler"
# Beat copies this into the database, where the admin shows it and its last run.
CELERY_BEAT_SCHEDULE = {
    "sessions-clear-expired": {
        "task": "styleguide_example.authentication.tasks.sessions_clear_expired",
        "schedule": timedelta(seconds=SESSION_CLEANUP_INTERVAL_SECONDS),
        # A clean-up that waited for a whole interval has a successor already.
        "options": {"expires": SESSION_CLEANUP_INTERVAL_SECONDS},
    },
    "login-failures-clear-expired": {
        "task": "styleguide_example.authentication.tasks.login_failures_clear_expired",
        "schedule": timedelta(seconds=SESSION_CLEANUP_INTERVAL_SECONDS),
        "options": {"expires": SESSION_CLEANUP_INTERVAL_SECONDS},
    },
    "login-addresses-clear-expired": {
        "task": "styleguide_example.authentication.tasks.login_addresses_clear_expired",
        "schedule": timedelta(seconds=SESSION_CLEANUP_INTERVAL_SECONDS),
        "options": {"expires": SESSION_CLEANUP_INTERVAL_SECONDS},
    },
}
# Write down each run at once; otherwise one that is killed forgets up to three minutes of them.
CELERY_BEAT_SYNC_EVERY = 1
DJANGO_CELERY_BEAT_TZ_AWARE = True
