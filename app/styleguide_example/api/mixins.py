from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request


class CsrfExemptedSessionAuthentication(SessionAuthentication):
    """The session cookie without a CSRF token; OriginGuardMiddleware takes the token's place."""

    def enforce_csrf(self, request: Request) -> None:
        return

    def authenticate_header(self, request: Request) -> str:
        # Having one makes "not logged in" a 401, and leaves 403 to "not allowed".
        return "Session"


class ApiAuthMixin:
    """Add it to an API that needs a login. Without it, an API is public."""

    authentication_classes = (CsrfExemptedSessionAuthentication,)
    permission_classes = (IsAuthenticated,)
