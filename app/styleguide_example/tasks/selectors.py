from contextlib import suppress
from threading import Thread

from celery import Celery
from kombu import Connection

# Tasks that the worker which got them did not know: see parking.py.
UNKNOWN_QUEUE = "unknown"
# Where a RabbitMQ that is told to puts what it delivered too often.
DEAD_LETTERS_QUEUE = "dead_letters"
STATUS_SECONDS = 1.2


def queue_lengths(*, app: Celery) -> dict[str, int] | None:
    """How many messages wait in each queue, or None if the broker does not answer in time."""
    answer: dict[str, int] = {}
    names = [*app.amqp.queues, UNKNOWN_QUEUE, DEAD_LETTERS_QUEUE]
    # A thread, because no timeout of a transport covers all of its steps.
    thread = Thread(target=_ask, args=(app, names, answer), daemon=True)
    thread.start()
    thread.join(STATUS_SECONDS)
    return answer if answer.keys() >= set(names) else None


def queue_length(*, connection: Connection, name: str) -> int:
    with connection.channel() as channel:
        try:
            # Every transport has the method; the stubs lack it.
            declared = channel.queue_declare(queue=name, passive=True)  # type: ignore[attr-defined]
            return int(declared.message_count)
        except connection.channel_errors:
            # Nobody has needed this queue yet.
            return 0


def _ask(app: Celery, names: list[str], answer: dict[str, int]) -> None:
    with suppress(Exception), app.connection_for_read() as connection:
        # Its default waits before it says that the broker refuses.
        connection.ensure_connection(max_retries=1, interval_start=0)
        for name in names:
            answer[name] = queue_length(connection=connection, name=name)
