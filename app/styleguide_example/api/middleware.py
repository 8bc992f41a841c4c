import re
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.contrib.sessions import middleware
from django.http import HttpRequest, HttpResponse, JsonResponse

from styleguide_example.api.errors import ORIGIN_REFUSED, error_body

logger = structlog.get_logger(__name__)

# The form of the keys that Django makes.
SESSION_KEY = re.compile(r"[a-z0-9]{32}")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class SessionMiddleware(middleware.SessionMiddleware):
    """The session cookie, unless the API took the session from the Authorization header."""

    def process_request(self, request: HttpRequest) -> None:
        # Anything else names no session, and a NUL would upset the database.
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        request.session = self.SessionStore(key if SESSION_KEY.fullmatch(key) else None)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        if getattr(request, "session_is_from_header", False):
            response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
        return response


class OriginGuardMiddleware:
    """Refuse a write that a page of an unknown origin makes a browser send.

    The API asks for no CSRF token, and a browser adds the session cookie to requests that any
    page makes it send. What a page cannot forge are the headers that name where it comes from.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in _SAFE_METHODS or origin_is_allowed(request):
            return self.get_response(request)
        return JsonResponse(error_body(request=request, message=ORIGIN_REFUSED), status=403)


def origin_is_allowed(request: HttpRequest) -> bool:
    """Whether it may change something. The log of a refusal says what FRONTEND_ORIGINS lacks."""
    allowed = _is_allowed(request)
    if not allowed:
        referer = request.headers.get("Referer")
        if referer:
            # Not the whole of it: people put secrets into query strings.
            referer = _origin(referer)
        logger.warning(
            "origin_refused",
            origin=_shown(request.headers.get("Origin")),
            sec_fetch_site=_shown(request.headers.get("Sec-Fetch-Site")),
            referer=_shown(referer),
        )
    return allowed


def _is_allowed(request: HttpRequest) -> bool:
    """The first of these headers that is there decides; older browsers lack the second."""
    if settings.CORS_ALLOW_ALL_ORIGINS:
        return True
    if (origin := request.headers.get("Origin")) is not None:
        return _is_known(origin, request)
    if (site := request.headers.get("Sec-Fetch-Site")) is not None:
        return site in ("same-origin", "none")
    if (referer := request.headers.get("Referer")) is not None:
        return _is_known(_origin(referer), request)
    # No browser: it has no cookie that a page could make it send.
    return settings.SESSION_COOKIE_NAME not in request.COOKIES


def _is_known(origin: str, request: HttpRequest) -> bool:
    return origin in (f"{request.scheme}://{request.get_host()}", *settings.FRONTEND_ORIGINS)


def _shown(header: str | None) -> str | None:
    """Long enough for any origin. A client may send much more, and fill the log with it."""
    return None if header is None else header[:300]


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
