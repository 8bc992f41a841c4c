import re
from importlib import import_module
from typing import cast

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from styleguide_example.api.middleware import SESSION_KEY

_HEADER = re.compile(rf"(?i:Session) ({SESSION_KEY.pattern})")


class ApiRequest(HttpRequest):
    """Django's request, with what is noted on it here and read by the middleware."""

    session_is_from_header: bool
    _cached_user: AbstractBaseUser


class CsrfExemptedSessionAuthentication(SessionAuthentication):
    """The session of the header `Authorization: Session <key>`, or else of the cookie.

    Neither needs a CSRF token: OriginGuardMiddleware takes its place.
    """

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, None] | None:
        header = request.headers.get("Authorization")
        if header is None or not settings.SESSION_HEADER_ENABLED:
            return super().authenticate(request)
        key = _HEADER.fullmatch(header)
        if key is None:
            raise AuthenticationFailed("Write the header as `Authorization: Session <key>`.")
        # From here on, everything that asks for the session or its user gets this one.
        http_request = cast(ApiRequest, request._request)
        http_request.session = import_module(settings.SESSION_ENGINE).SessionStore(key[1])
        http_request.session_is_from_header = True
        user = get_user(http_request)
        if not user.is_authenticated:
            raise AuthenticationFailed("The session is unknown or has expired.")
        http_request._cached_user = user
        return user, None

    def enforce_csrf(self, request: Request) -> None:
        return

    def authenticate_header(self, request: Request) -> str:
        # Having one makes "not logged in" a 401, and leaves 403 to "not allowed".
        return "Session"


class ApiAuthMixin(APIView):
    """Add it to an API that needs a login. Without it, an API is public."""

    authentication_classes = (CsrfExemptedSessionAuthentication,)
    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated,)
