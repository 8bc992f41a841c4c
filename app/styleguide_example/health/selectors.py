from collections.abc import Callable
from functools import cache

import structlog
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

logger = structlog.get_logger(__name__)


def readiness_checks() -> dict[str, str]:
    """What this process needs to serve: each check is "ok" or "failed".

    The broker is not among them. Without it the API still answers, and logins still work; one
    broker that is down would otherwise take every web host out of service.
    """
    checks: dict[str, Callable[[], bool]] = {
        "database": _database_answers,
        "migrations": _migrations_applied,
    }
    return {name: "ok" if _passes(name, check) else "failed" for name, check in checks.items()}


def _passes(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except (DatabaseError, InterfaceError):
        # The reason goes to the log only: it can name hosts and users.
        logger.warning("readiness_check_failed", check=name, exc_info=True)
        return False


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _migrations_applied() -> bool:
    return _last_migrations() <= MigrationRecorder(connection).applied_migrations().keys()


@cache
def _last_migrations() -> frozenset[tuple[str, str]]:
    """The newest migration of each app; it is only recorded after all that it builds on.

    Read once: the files of a running release do not change, and reading them takes long.
    """
    return frozenset(MigrationLoader(None).graph.leaf_nodes())
