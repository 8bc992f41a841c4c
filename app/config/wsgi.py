import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.django.production")

application = get_wsgi_application()

# URLs load on first use. Load them now, so that a server which preloads this module is not
# "ready" with a broken view, and no visitor waits for the imports.
_ = get_resolver().url_patterns
