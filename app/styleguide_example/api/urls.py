from django.conf import settings
from django.urls import path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView

_TITLE = settings.SPECTACULAR_SETTINGS["TITLE"]

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    # Swagger UI. The library's own view has inline styles, and starts a session per visitor.
    path(
        "docs/",
        TemplateView.as_view(template_name="api/docs.html", extra_context={"title": _TITLE}),
        name="docs",
    ),
]
