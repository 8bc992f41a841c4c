from functools import partial
from urllib.parse import urlsplit

import structlog
from celery import Task
from django.conf import settings
from django.db import transaction

logger = structlog.get_logger(__name__)


def task_publish_on_commit(*, task: Task, **arguments: object) -> None:
    """Send the task once the transaction is durable, so that the worker sees its rows.

    The caller's own work is done by then, so a broker that fails costs the task, never the
    request. What must not be lost belongs in the same transaction as a row, not in a task.
    """
    transaction.on_commit(partial(_task_publish, task=task, arguments=arguments))


def _task_publish(*, task: Task, arguments: dict[str, object]) -> None:
    try:
        with task.app.amqp.producer_pool.acquire(block=True, timeout=1) as producer:
            try:
                # A broker that is short of memory or disk accepts the connection, then waits.
                task.apply_async(kwargs=arguments, producer=producer, confirm_timeout=1)
            except Exception:
                # Hang up. Leaving politely would wait for that broker's answer.
                producer.connection.collect()
                raise
    except Exception as error:
        # An OperationalError means that this broker cannot be reached.
        broker = urlsplit(settings.CELERY_BROKER_URL).hostname
        logger.warning(
            "task_publish_failed", task=task.name, broker=broker, error=type(error).__name__
        )
