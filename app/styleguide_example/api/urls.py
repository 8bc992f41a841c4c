from django.conf import settings
from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from styleguide_example.api.apis import DocsPage

_TITLE = settings.SPECTACULAR_SETTINGS["TITLE"]

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", DocsPage.as_view(extra_context={"title": _TITLE}), name="docs"),
]
