from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from celery import Celery, Task
from django.conf import settings
from django.db import transaction
from kombu import Producer

logger = structlog.get_logger(__name__)


@contextmanager
def producer_acquire(*, app: Celery) -> Iterator[Producer]:
    """A connection to publish with. After an error it is cut: a polite end waits for the broker."""
    with app.amqp.producer_pool.acquire(block=True, timeout=1) as producer:
        try:
            yield producer
        except Exception:
            if producer.connection is not None:
                producer.connection.collect()
            raise


def task_publish_on_commit(*, task: Task[..., object], **arguments: object) -> None:
    """Send the task once the transaction is durable, so that the worker sees its rows.

    The caller's own work is done by then, so a broker that fails costs the task, never the
    request. What must not be lost belongs in the same transaction as a row, not in a task.
    """
    transaction.on_commit(partial(_task_publish, task=task, arguments=arguments))


def _task_publish(*, task: Task[..., object], arguments: dict[str, object]) -> None:
    try:
        with producer_acquire(app=task.app) as producer:
            # A broker that is short of memory or disk accepts the connection, then waits.
            options: dict[str, Any] = {"confirm_timeout": 1}
            task.apply_async(kwargs=arguments, producer=producer, **options)
    except Exception as error:
        # An OperationalError means that this broker cannot be reached.
        broker = urlsplit(settings.CELERY_BROKER_URL).hostname
        logger.warning(
            "task_publish_failed", task=task.name, broker=broker, error=type(error).__name__
        )
