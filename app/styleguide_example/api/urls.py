from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from styleguide_example.api.apis import DocsPage

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", DocsPage.as_view(), name="docs"),
]
