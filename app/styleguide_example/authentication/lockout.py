"""What django-axes asks of us: who tries to log in, from where, and the answer when locked out."""

import math
from datetime import datetime
from ipaddress import IPv6Network, ip_address

import structlog
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from styleguide_example.api.errors import LOCKED_OUT, error_body

logger = structlog.get_logger(__name__)

# As long as the column that holds it.
_ACCOUNT_LENGTH = 255


def account(_request: HttpRequest, credentials: dict[str, str]) -> str:
    return credentials["username"].lower()[:_ACCOUNT_LENGTH]


def client_address(request: HttpRequest) -> str | None:
    """The address that the proxy saw: it writes or appends the last one of the header."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2]
    try:
        # Behind a unix socket there is no other.
        address = ip_address(forwarded.strip() or request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return None
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    # Whoever has one IPv6 address has the 2**64 around it.
    return str(IPv6Network((int(address), 64), strict=False).network_address)


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types.
    """axes, with a limit for an account over all addresses, which slows and never locks."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, str]) -> bool:
        if super().is_locked(request, credentials):
            return True
        return _seconds_to_turn(request, credentials) > 0


class LoginRequest(HttpRequest):
    """A request as axes hands it over."""

    axes_failures_since_start: int | None


def lockout_response(
    request: LoginRequest, _response: HttpResponse, credentials: dict[str, str]
) -> HttpResponse:
    # Only the failure that locks was counted; a try during the lockout was not.
    if request.axes_failures_since_start is not None:
        logger.warning("login_locked_out", client_address=client_address(request))
    seconds = _seconds_left(request, credentials)
    if request.path.startswith("/api/"):
        response: HttpResponse = JsonResponse(
            error_body(request=request, message=LOCKED_OUT), status=429
        )
    else:
        context = {"minutes": math.ceil(seconds / 60)}
        response = render(request, "authentication/locked_out.html", context, status=429)
    response["Retry-After"] = str(seconds)
    return response


def _seconds_left(request: HttpRequest, credentials: dict[str, str]) -> int:
    """Until the last failure no longer counts, or until the account takes its next try."""
    number, last = _failures(
        username=account(request, credentials), ip_address=client_address(request)
    )
    if number >= settings.AXES_FAILURE_LIMIT:
        left = (last + settings.AXES_COOLOFF_TIME - timezone.now()).total_seconds()
    else:
        left = _seconds_to_turn(request, credentials)
    return max(1, int(left) + 1)


def _seconds_to_turn(request: HttpRequest, credentials: dict[str, str]) -> float:
    """0, unless the account has had many failures, a moment ago, and does not know the address."""
    name = account(request, credentials)
    number, last = _failures(username=name)
    if number < settings.LOGIN_ACCOUNT_FAILURES_MAX:
        return 0
    if AccessLog.objects.filter(username=name, ip_address=client_address(request)).exists():
        return 0
    pause = settings.AXES_COOLOFF_TIME / settings.LOGIN_ACCOUNT_FAILURES_MAX
    left: float = (last + pause - timezone.now()).total_seconds()
    if left <= 0:
        # No more often than there are turns.
        logger.warning("login_slowed", failures=number)
    return max(0, left)


def _failures(**of: str | None) -> tuple[int, datetime]:
    """How many still count, and when the last was. There is a row for each browser that failed."""
    now = timezone.now()
    found = AccessAttempt.objects.filter(
        attempt_time__gt=now - settings.AXES_COOLOFF_TIME, **of
    ).aggregate(number=Sum("failures_since_start"), last=Max("attempt_time"))
    return found["number"] or 0, found["last"] or now
