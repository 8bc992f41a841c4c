"""The Celery application: `celery -A styleguide_example.tasks worker`."""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.django.production")

app = Celery("styleguide_example")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"] |= {
    DjangoStructLogInitStep,
    # By name, since only a worker needs it.
    "styleguide_example.tasks.parking:ReturnStep",
}
app.autodiscover_tasks()


@setup_logging.connect
def logging_configure(**_kwargs: object) -> None:
    """Having a receiver keeps Celery from adding its own handlers and formats."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
