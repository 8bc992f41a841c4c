from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from styleguide_example.api.errors import error_body

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class OriginGuardMiddleware:
    """Refuse a write that a page of an unknown origin makes a browser send.

    The API asks for no CSRF token, and a browser adds the session cookie to requests that any
    page makes it send. What a page cannot forge are these two headers. A client that sends
    neither is not a browser, and has no cookie but its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in _SAFE_METHODS or _is_allowed(request):
            return self.get_response(request)
        message = "This origin may not use the API."
        return JsonResponse(error_body(request=request, message=message), status=403)


def _is_allowed(request: HttpRequest) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        own = f"{request.scheme}://{request.get_host()}"
        return origin == own or origin in settings.FRONTEND_ORIGINS
    return request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
