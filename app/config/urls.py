from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    # To the one page for people; "View site" of the admin leads here.
    path("", RedirectView.as_view(pattern_name="docs")),
    path("api/auth/", include("styleguide_example.authentication.urls")),
    path("api/users/", include("styleguide_example.users.urls")),
    path("api/", include("styleguide_example.api.urls")),
    path("health/", include("styleguide_example.health.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "styleguide_example.api.errors.bad_request"
handler403 = "styleguide_example.api.errors.permission_denied"
handler404 = "styleguide_example.api.errors.not_found"
handler500 = "styleguide_example.api.errors.server_error"
