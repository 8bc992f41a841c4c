"""Where the API and its front ends live. One list feeds CORS, CSRF and the origin guard."""

from config.env import boolean, hosts, origins

# Names by which clients reach the API. A leading dot takes in all names below it.
ALLOWED_HOSTS = hosts("ALLOWED_HOSTS")

# The front ends whose pages may call the API with a login. What the session cookie needs for
# them is derived in sessions.py.
FRONTEND_ORIGINS = origins("FRONTEND_ORIGINS")

CORS_ALLOWED_ORIGINS = FRONTEND_ORIGINS
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = r"^/api/"
# Lets a front end show how long a lockout lasts, and the id that finds its request in the logs.
CORS_EXPOSE_HEADERS = ["Retry-After", "X-Request-ID"]

# Set true on your own machine only, to call the API from any page, as its user: it turns CORS
# and the origin guard off. config.django.production does not start with it.
CORS_ALLOW_ALL_ORIGINS = boolean("CORS_ALLOW_ALL_ORIGINS", default=False)

CSRF_TRUSTED_ORIGINS = FRONTEND_ORIGINS
