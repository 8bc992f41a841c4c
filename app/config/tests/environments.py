import os

PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.django.production",
    "SECRET_KEY": "an-example-of-a-long-random-value-0123456789-abcdefghijkl",
    "DATABASE_URL": os.environ.get("DATABASE_URL", "postgres:///unused"),
    "ALLOWED_HOSTS": "api.example.com",
    "CELERY_BROKER_URL": "amqp://user:pass@127.0.0.1:9/vhost",
    "FRONTEND_ORIGINS": "https://app.example.com",
}
