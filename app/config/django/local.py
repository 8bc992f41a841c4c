"""A developer's machine: starts without any configuration, and shows errors."""

import os

for _name, _value in {
    "SECRET_KEY": "local-development-only-this-value-signs-nothing-of-worth",
    "DATABASE_URL": "postgres:///styleguide_example",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1],.localhost",
    "CELERY_BROKER_URL": "amqp://guest:guest@localhost:5672//",
    "FRONTEND_ORIGINS": "http://localhost:3000,http://localhost:5173",
    "LOG_FORMAT": "console",
    "SECURE_SSL_REDIRECT": "false",
    "SECURE_HSTS_SECONDS": "0",
    "SESSION_COOKIE_SECURE": "false",
}.items():
    os.environ.setdefault(_name, _value)

from config.django.base import *

DEBUG = True

# Serves files straight from the packages: no collectstatic while developing.
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
