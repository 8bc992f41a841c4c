from django.conf import settings
from django.urls import path
from django.views.generic import TemplateView

from styleguide_example.api.apis import SchemaApi

_TITLE = settings.SPECTACULAR_SETTINGS["TITLE"]

urlpatterns = [
    path("schema/", SchemaApi.as_view(), name="schema"),
    # Swagger UI. The library's own view has inline styles, and starts a session per visitor.
    path(
        "docs/",
        TemplateView.as_view(template_name="api/docs.html", extra_context={"title": _TITLE}),
        name="docs",
    ),
]
