"""A server or a platform. Everything that differs between them is in the environment."""

from config.django.base import *
from config.env import stop
from config.settings.cors import CORS_ALLOW_ALL_ORIGINS

if CORS_ALLOW_ALL_ORIGINS:
    stop("CORS_ALLOW_ALL_ORIGINS", "is for development only. Remove it, and set FRONTEND_ORIGINS.")
