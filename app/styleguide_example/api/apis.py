from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView

# Nothing from another host, and no script or style inside the page itself.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DocsPage(TemplateView):
    """Swagger UI. The library's own view has inline styles, and starts a session per visitor."""

    template_name = "api/docs.html"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = super().get(request, *args, **kwargs)
        response["Content-Security-Policy"] = _POLICY
        return response
