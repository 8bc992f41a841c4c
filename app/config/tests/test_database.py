import psycopg2
import pytest
from django.db import close_old_connections, connection

from config.tests.environments import PRODUCTION

pytestmark = pytest.mark.django_db(transaction=True)


def backend() -> int:
    """The process of PostgreSQL that serves this thread."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end_of_request() -> None:
    close_old_connections()


def test_a_connection_serves_many_requests():
    # One that other tests opened may be old enough to be replaced.
    connection.close()
    first = backend()
    end_of_request()
    assert backend() == first


def test_a_connection_that_died_between_requests_is_replaced():
    first = backend()
    other = psycopg2.connect(PRODUCTION["DATABASE_URL"])
    other.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    other.close()
    end_of_request()
    assert backend() != first
