from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "styleguide_example.users"
