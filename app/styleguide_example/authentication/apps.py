from django.apps import AppConfig


class AuthenticationConfig(AppConfig):
    name = "styleguide_example.authentication"
