"""A server or a platform. Everything that differs between them is in the environment."""

from config.django.base import *  # noqa: F403
