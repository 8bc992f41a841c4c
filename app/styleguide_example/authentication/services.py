from uuid import uuid4

from django.contrib.auth import authenticate, login
from django.db import transaction
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from styleguide_example.authentication.schema import LOGIN_FAILED
from styleguide_example.authentication.tasks import login_record
from styleguide_example.tasks.services import task_publish_on_commit
from styleguide_example.users.models import User


def auth_login(*, request: Request, email: str, password: str) -> User:
    """Log in for as long as the session lives, and have the worker record it."""
    # Outside the transaction: hashing takes long. The lockout marks the plain request.
    user = authenticate(request._request, username=email, password=password)
    if user is None:
        # The same words for an unknown address, a wrong password and an inactive user.
        raise AuthenticationFailed(LOGIN_FAILED)
    with transaction.atomic():
        # A login never continues a session: its key may be known to someone else.
        request.session.flush()
        login(request, user)
        # The forms of the admin alone need a token, and set the cookie themselves.
        request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)
        task_publish_on_commit(
            task=login_record,
            record_id=str(uuid4()),
            user_id=user.id,
            occurred_at=timezone.now().isoformat(),
            request_id=request.META["HTTP_X_REQUEST_ID"],
        )
    return user
