from functools import cache

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request


class SchemaApi(SpectacularAPIView):
    """The library's own view makes the document, which never changes, for each request anew."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:
        renderer = request.accepted_renderer
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        return HttpResponse(
            _document(renderer.format),
            content_type=f"{renderer.media_type}{charset}",
            headers={"Content-Disposition": f'inline; filename="schema.{renderer.format}"'},
        )


@cache
def _document(form: str | None) -> str | bytes:
    renderer = OpenApiJsonRenderer if form == "json" else OpenApiYamlRenderer
    return renderer().render(SchemaGenerator().get_schema(public=True), renderer_context={})
