"""A task that this release does not have is kept for a release that has it.

While releases change, and after going back to an older one, a worker may be handed a task it
cannot run. Celery would throw it away. Here it is parked in a queue of its own, and every worker
looks there for tasks that it knows. A crash at the wrong moment doubles a task, none loses one.
"""

import time
from datetime import datetime, timezone
from threading import Event, Thread
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.utils.time import maybe_iso8601, maybe_make_aware
from celery.worker import WorkController
from celery.worker.consumer import Consumer
from kombu import Connection, Queue
from kombu.message import Message

from styleguide_example.tasks.selectors import UNKNOWN_QUEUE, queue_length
from styleguide_example.tasks.services import producer_acquire

logger = structlog.get_logger(__name__)

# Where the message came from, while it is parked.
ORIGIN = "parked_from"
PARK_AGAIN_SECONDS = 1
CONFIRM_SECONDS = 5
RETURN_INTERVAL_SECONDS = 10
# A pass over a long queue stops after this time. The next one goes on where it stopped.
RETURN_SECONDS = 2

# They describe one delivery, or are arguments of their own. When the message expires is also a
# header; a broker that applies the property would make a dead letter of it.
_NOT_PROPERTIES = {
    "application_headers",
    "body_encoding",
    "content_encoding",
    "content_type",
    "delivery_info",
    "delivery_tag",
    "expiration",
    "priority",
}
# Kombu has decompressed the body.
_NOT_HEADERS = {"compression", "x-delivery-count"}


class ParkingConsumer(Consumer):
    """Celery's consumer, but for tasks that it does not know."""

    # Celery's own attribute, which the stubs lack.
    connection_errors: tuple[type[Exception], ...]

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        self._park(message, self.connection)

    def _park(self, message: Message, connection: Connection | None) -> None:
        if self.connection is not connection:
            # With the connection went the message: the broker delivers it again.
            return
        event = {"task": _task(message), "task_id": message.headers.get("id")}
        try:
            message_park(app=self.app, message=message)
        except Exception as error:
            # Not acknowledged, it stays with the broker meanwhile.
            logger.warning("task_park_failed", **event, error=repr(error))
            self.timer.call_after(PARK_AGAIN_SECONDS, self._park, (message, connection))
        else:
            message.ack_log_error(logger, self.connection_errors)
            logger.warning("task_parked", **event)


class ReturnStep(bootsteps.StartStopStep):
    """While the worker runs, look for parked tasks in a thread with a connection of its own."""

    # Its processes are forked before there is a thread.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: WorkController, **options: object) -> None:
        self._stopping = Event()
        super().__init__(worker, **options)

    def start(self, worker: WorkController) -> None:
        self._thread = Thread(target=self._run, args=(worker.app,), daemon=True)
        self._thread.start()

    def stop(self, worker: WorkController) -> None:
        self._stopping.set()
        self._thread.join(timeout=2 * RETURN_SECONDS)

    def _run(self, app: Celery) -> None:
        with app.connection_for_write() as connection:
            while True:
                try:
                    messages_return(app=app, connection=connection, stopping=self._stopping)
                except Exception as error:
                    logger.warning("tasks_return_failed", error=repr(error))
                    connection.collect()
                if self._stopping.wait(RETURN_INTERVAL_SECONDS):
                    return


def message_park(*, app: Celery, message: Message) -> None:
    origin = {name: message.delivery_info[name] for name in ("exchange", "routing_key")}
    with producer_acquire(app=app) as producer:
        channel: Any = producer.channel
        _queue(app)(channel).declare()
        _forward(message, to=channel, headers={ORIGIN: origin}, routing_key=UNKNOWN_QUEUE)


def messages_return(*, app: Celery, connection: Connection, stopping: Event) -> None:
    """Look once at each parked message, and send it back if this release has its task.

    The others go to the end of the queue: giving them back in place would count as a failed
    delivery, and a broker limits those.
    """
    connection.connect()
    with connection.channel() as channel:
        parked = _queue(app)(channel)
        for queue in (parked, *app.amqp.queues.values()):
            queue(channel).declare()
        waiting = queue_length(connection=connection, name=UNKNOWN_QUEUE)
        give_up = time.monotonic() + RETURN_SECONDS
        while waiting > 0 and time.monotonic() < give_up and not stopping.is_set():
            waiting -= 1
            message = parked.get(no_ack=False)
            if message is None:
                return
            event = {"task": _task(message), "task_id": message.headers.get("id")}
            if event["task"] in app.tasks:
                # An operator may have put it there without.
                default = {"routing_key": app.conf.task_default_queue}
                origin: Any = message.headers.pop(ORIGIN, default)
                _forward(message, to=channel, **origin)
                logger.info("task_returned", **event)
            elif _is_expired(message):
                logger.info("task_expired", **event)
            else:
                _forward(message, to=channel, routing_key=UNKNOWN_QUEUE)
            message.ack()


def _queue(app: Celery) -> Queue:
    # Whoever else declares it must do it the same way, or RabbitMQ refuses.
    kind = app.conf.task_default_queue_type
    arguments = {"x-queue-type": kind} if kind == "quorum" else None
    return Queue(UNKNOWN_QUEUE, durable=True, queue_arguments=arguments)


def _forward(
    message: Message,
    *,
    # A channel, whose methods the stubs lack.
    to: Any,
    routing_key: str,
    exchange: str = "",
    headers: dict[str, Any] | None = None,
) -> None:
    """Publish the message as it is. An error means that it may not have arrived."""
    kept = {name: value for name, value in message.headers.items() if name not in _NOT_HEADERS}
    prepared = to.prepare_message(
        message.body,
        priority=message.properties.get("priority"),
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        headers=kept | (headers or {}),
        properties={
            name: value for name, value in message.properties.items() if name not in _NOT_PROPERTIES
        },
    )
    to.basic_publish(
        prepared,
        exchange=exchange,
        routing_key=routing_key,
        mandatory=True,
        confirm_timeout=CONFIRM_SECONDS,
    )


def _task(message: Message) -> str | None:
    try:
        return message.headers.get("task") or message.payload["task"]
    except Exception:
        return None


def _is_expired(message: Message) -> bool:
    """A worker that has the task would not run it any more."""
    try:
        expires = maybe_iso8601(message.headers.get("expires"))
    except (TypeError, ValueError):
        return False
    return expires is not None and maybe_make_aware(expires) < datetime.now(timezone.utc)
