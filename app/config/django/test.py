"""Automated tests: production's behaviour on a throw-away database, without a broker."""

import os

for _name, _value in {
    "SECRET_KEY": "for-tests-only-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789",
    "ALLOWED_HOSTS": "testserver,api.example.com",
    # Nothing listens here: a test that would publish sees the broker refuse at once.
    "CELERY_BROKER_URL": "amqp://guest:guest@127.0.0.1:9//",
    "FRONTEND_ORIGINS": "https://app.example.com",
}.items():
    os.environ.setdefault(_name, _value)

from config.django.base import *

# The hashing of files is whitenoise's business, and needs collectstatic first.
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
# The cost of a real hash adds up over hundreds of logins; one test restores it.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]
