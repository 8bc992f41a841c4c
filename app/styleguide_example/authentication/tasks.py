from datetime import datetime
from importlib import import_module
from uuid import UUID

from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from styleguide_example.tasks import app
from styleguide_example.users.services import login_record_create


# The database may be away for a while: about half an hour of tries.
@app.task(
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=2,
    retry_backoff_max=300,
    max_retries=12,
)
def login_record(*, record_id: str, user_id: int, occurred_at: str, request_id: str) -> None:
    login_record_create(
        record_id=UUID(record_id),
        user_id=user_id,
        occurred_at=datetime.fromisoformat(occurred_at),
        request_id=request_id,
    )


@app.task
def sessions_clear_expired() -> None:
    """Expired sessions log nobody in, but their rows stay until someone deletes them."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


@app.task
def login_failures_clear_expired() -> None:
    """The next failed login deletes them too, but it may be long in coming."""
    oldest = timezone.now() - settings.AXES_COOLOFF_TIME
    AccessAttempt.objects.filter(attempt_time__lte=oldest).delete()


@app.task
def login_addresses_clear_expired() -> None:
    """Where people logged in from is kept no longer than the lockout asks for it."""
    oldest = timezone.now() - settings.LOGIN_ADDRESS_MEMORY
    AccessLog.objects.filter(attempt_time__lte=oldest).delete()
