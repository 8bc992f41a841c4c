"""What django-axes asks of us: who tries to log in, from where, and the answer when locked out."""

import math
from ipaddress import IPv6Network, ip_address

import structlog
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max
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
    """Until the last failure no longer counts. There is a row for each browser that failed."""
    attempts = AccessAttempt.objects.filter(
        username=account(request, credentials), ip_address=client_address(request)
    )
    last = attempts.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    left = last + settings.AXES_COOLOFF_TIME - timezone.now()
    return max(1, int(left.total_seconds()) + 1)
