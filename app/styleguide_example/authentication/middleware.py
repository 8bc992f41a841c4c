import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest, HttpResponse

_SEEN = "admin_seen"


class AdminIdleMiddleware:
    """End a session with which nobody has used the admin for a while, when somebody does again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: object) -> None:
        match = request.resolver_match
        if match is None or match.app_name != "admin" or not request.user.is_authenticated:
            return
        now = time.time()
        login = request.user.last_login
        # A login elsewhere opens the admin too, and as long.
        seen = request.session.get(_SEEN, login.timestamp() if login else 0)
        if now - seen > settings.ADMIN_IDLE_SECONDS:
            logout(request)
            return
        request.session[_SEEN] = now
        try:
            # Not at the end, when the view may have deleted the session.
            request.session.save()
        except UpdateError:
            logout(request)
        request.session.modified = False
