"""The settings of every environment, with the values that are safe in production.

Whatever differs comes from the environment; local.py and test.py only set other defaults.
"""

from pathlib import Path

from whitenoise.compress import Compressor

from config.env import database, optional, secret_key, words
from config.settings.celery import *
from config.settings.cors import *
from config.settings.lockout import *
from config.settings.logging import *
from config.settings.openapi import *
from config.settings.rest import *
from config.settings.security import *
from config.settings.sessions import *
from config.settings.users import *

BASE_DIR = Path(__file__).resolve().parents[2]

DEBUG = False
SECRET_KEY = secret_key("SECRET_KEY")
# The previous keys, while sessions that they signed are still alive.
SECRET_KEY_FALLBACKS = words("SECRET_KEY_FALLBACKS")
# Which release this is; shown by the readiness endpoint.
RELEASE = optional("RELEASE", default="unknown")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "csp",
    "django_celery_beat",
    "django_filters",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "styleguide_example.api",
    "styleguide_example.authentication",
    "styleguide_example.tasks",
    "styleguide_example.users",
]

MIDDLEWARE = [
    # First, so that every answer carries the id, also one that the next lines refuse.
    "styleguide_example.common.middleware.RequestIdMiddleware",
    "styleguide_example.common.middleware.RequestLogMiddleware",
    "styleguide_example.common.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Before anything that answers, or a browser hides the refusal from the front end.
    "corsheaders.middleware.CorsMiddleware",
    "styleguide_example.api.middleware.OriginGuardMiddleware",
    "styleguide_example.api.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "styleguide_example.authentication.middleware.AdminIdleMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # Last, where it sees a login that was locked out first.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        **database("DATABASE_URL"),
        # Connecting costs more than most queries; the check replaces one that died meanwhile.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
# A database that does not answer must not hold a request until its timeout.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "users.User"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = Path(optional("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Source maps are most of the bytes, and only who debugs a library in a browser asks for one.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")
