"""Beat that may be started many times: only the one that holds a lock in PostgreSQL ticks."""

from copy import deepcopy
from typing import Any

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error, connections, transaction
from django.db.utils import load_backend
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry
from kombu import Producer

from config.env import stop

logger = structlog.get_logger(__name__)

# Advisory locks belong to one database: in it, this number is beat's.
LOCK_KEY = 0x62656174
STANDBY_SECONDS = 1

# A client whose network is dead is told after about three seconds...
_CLIENT = {
    "connect_timeout": 3,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 3000,
}
# ... and so is the server, which then gives the lock to another.
_SERVER = """
    SET tcp_keepalives_idle = 2;
    SET tcp_keepalives_interval = 1;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 5000;
    SET statement_timeout = 3000;
"""
_TAKE = "SELECT pg_try_advisory_lock(%s)"
_HOLDS = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
        AND (classid, objid, objsubid) = (0, %s, 1) AND granted)
"""


class LockLost(Exception):
    pass


class SessionLock:
    """Held as long as its connection lives, which Django's other connections do not share."""

    def __init__(self) -> None:
        settings = deepcopy(connections["default"].settings_dict)
        settings["OPTIONS"].pop("pool", None)
        settings["OPTIONS"].update(_CLIENT)
        self._connection = load_backend(settings["ENGINE"]).DatabaseWrapper(settings, "beat")
        if self._connection.vendor != "postgresql":
            stop("DATABASE_URL", "must name a PostgreSQL database: beat locks itself there.")

    def take(self) -> bool:
        return self._ask(_TAKE)

    def is_held(self) -> bool:
        return self._ask(_HOLDS)

    def release(self) -> None:
        self._connection.close()

    def _ask(self, question: str) -> bool:
        is_new = self._connection.connection is None
        with self._connection.cursor() as cursor:
            if is_new:
                cursor.execute(_SERVER)
            cursor.execute(question, [LOCK_KEY])
            return bool(cursor.fetchone()[0])


class LockedScheduler(DatabaseScheduler):
    """The database's schedule, while the lock is held. Before that, not even a row is written:
    one that stands by may belong to another release.
    """

    _leads = False
    _stands_by = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = SessionLock()
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Waits for the lock, see _lead."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        try:
            if self._leads and not self._lock.is_held():
                raise LockLost
            if not self._leads:
                if not self._lock.take():
                    self._stand_by()
                    return STANDBY_SECONDS
                self._lead()
            return float(super().tick(*args, **kwargs))
        except (LockLost, Error) as error:
            self._stand_by(error=str(error).partition("\n")[0] or "the lock is lost")
            self._lock.release()
            return STANDBY_SECONDS

    def apply_entry(self, entry: ModelEntry, producer: Producer | None = None) -> None:
        # The tick may have waited long for the broker.
        if not self._lock.is_held():
            raise LockLost
        try:
            self._write_down(entry)
        except ObjectDoesNotExist:
            return
        self._dirty.discard(entry.name)
        super().apply_entry(entry, producer=producer)

    def sync(self) -> None:
        if self._leads:
            super().sync()

    def close(self) -> None:
        self.sync()
        self._leads = False
        # First, because the broker may take its time to say goodbye.
        self._lock.release()
        super().close()

    def _lead(self) -> None:
        logger.info("beat_leads")
        self._leads, self._stands_by = True, False
        # Another may have changed everything since this one last led.
        self._initial_read, self._last_timestamp = True, None
        self._heap = self.old_schedulers = None
        self._dirty.clear()
        super().setup_schedule()

    def _write_down(self, entry: ModelEntry) -> None:
        """Before it is sent: who dies in between skips one run, and nobody repeats one."""
        with transaction.atomic():
            stored = self.Model.objects.select_for_update().get(pk=entry.model.pk)
            # One that was frozen until here may have had a successor meanwhile.
            if stored.total_run_count >= entry.model.total_run_count:
                raise LockLost
            entry.save()

    def _stand_by(self, **details: str) -> None:
        if self._leads or not self._stands_by:
            logger.info("beat_stands_by", **details)
        self._leads, self._stands_by = False, True
