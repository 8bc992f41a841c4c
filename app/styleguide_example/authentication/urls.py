from django.urls import path

from styleguide_example.authentication.apis import LoginApi, LogoutApi, MeApi

urlpatterns = [
    path("login/", LoginApi.as_view(), name="auth-login"),
    path("me/", MeApi.as_view(), name="auth-me"),
    path("logout/", LogoutApi.as_view(), name="auth-logout"),
]
