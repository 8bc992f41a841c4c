"""Which front ends may call the API. One list feeds CORS, CSRF and the origin guard."""

from config.env import origins

FRONTEND_ORIGINS = origins("FRONTEND_ORIGINS")

CORS_ALLOWED_ORIGINS = FRONTEND_ORIGINS
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = r"^/api/"
# Lets a front end show the id that finds its request in the logs.
CORS_EXPOSE_HEADERS = ["X-Request-ID"]

CSRF_TRUSTED_ORIGINS = FRONTEND_ORIGINS
