from django.apps import AppConfig


class AuthenticationConfig(AppConfig):
    name = "styleguide_example.authentication"
    # In the admin, where Django's own app of groups is "Authentication and authorization".
    verbose_name = "Logins"
