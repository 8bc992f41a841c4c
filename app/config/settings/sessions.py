"""Login sessions. Each value comes from the environment; the comments say when to change it."""

from config.env import boolean, choice, integer, optional, stop
from config.settings.cors import ALLOWED_HOSTS, FRONTEND_ORIGINS
from config.sites import foreign_origins

# Sessions live in the database: they survive a restart, and logout ends them at once.
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# Change it when two applications share one host name, or each will log the other's users out.
SESSION_COOKIE_NAME = optional("SESSION_COOKIE_NAME", default="sessionid")

# Seconds until a login expires, 14 days. Shorten it for an API that guards sensitive data.
SESSION_COOKIE_AGE = integer("SESSION_COOKIE_AGE", default=1209600, minimum=60)

# Leave it false where people expect to stay logged in; true ends the login with the browser.
SESSION_EXPIRE_AT_BROWSER_CLOSE = boolean("SESSION_EXPIRE_AT_BROWSER_CLOSE", default=False)

# Seconds without a request to the admin after which it asks for the password again, 30 minutes.
# Each request to it starts SESSION_COOKIE_AGE anew.
ADMIN_IDLE_SECONDS = integer("ADMIN_IDLE_SECONDS", default=1800, minimum=60)

# Set true to count the age from the last request instead of from the login. It costs one
# database write per request.
SESSION_SAVE_EVERY_REQUEST = boolean("SESSION_SAVE_EVERY_REQUEST", default=False)

# Set false only for development over plain HTTP.
SESSION_COOKIE_SECURE = boolean("SESSION_COOKIE_SECURE", default=True)

# Derived: None when a front end lives on another site (app.com calls api.org), else Lax. Set
# Strict when no link from elsewhere needs to arrive logged in.
_foreign = foreign_origins(FRONTEND_ORIGINS, hosts=ALLOWED_HOSTS, https=SESSION_COOKIE_SECURE)
SESSION_COOKIE_SAMESITE = choice(
    "SESSION_COOKIE_SAMESITE",
    default="None" if _foreign else "Lax",
    choices=("Lax", "Strict", "None"),
)

# Keeps the cookie of each foreign site apart, which browsers ask for more and more. Django reads
# this from 6.2 on; earlier ones ignore it.
SESSION_COOKIE_PARTITIONED = SESSION_COOKIE_SAMESITE == "None"

# Also take the key that login returns as `Authorization: Session <key>`, for browsers that
# withhold the cookie of another site. Set false to hold to OWASP ASVS 3.3.4, which keeps session
# keys out of the reach of scripts: then only the cookie counts, and login returns no key.
SESSION_HEADER_ENABLED = boolean("SESSION_HEADER_ENABLED", default=True)

# Set false only if a script on the page must read the cookie. It should not: any script that
# gets onto the page could then steal the login.
SESSION_COOKIE_HTTPONLY = boolean("SESSION_COOKIE_HTTPONLY", default=True)

# Change it when the API shares its host name with something that must not see the cookie.
SESSION_COOKIE_PATH = optional("SESSION_COOKIE_PATH", default="/")

# Set it (.example.com) only if another host of the domain must receive the cookie too.
SESSION_COOKIE_DOMAIN = optional("SESSION_COOKIE_DOMAIN") or None

# The forms of the admin have a token in a cookie: in the session, whoever visits the login page
# would be given one.
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
CSRF_COOKIE_HTTPONLY = True

# How often the worker deletes expired sessions, failed logins and addresses that no longer count.
SESSION_CLEANUP_INTERVAL_SECONDS = integer(
    "SESSION_CLEANUP_INTERVAL_SECONDS", default=3600, minimum=1
)

if SESSION_COOKIE_SAMESITE == "None" and not SESSION_COOKIE_SECURE:
    if _foreign:
        stop(
            "FRONTEND_ORIGINS",
            f"holds {_foreign[0]!r}, another site than ALLOWED_HOSTS, and a cookie for it must be "
            "secure. Set SESSION_COOKIE_SECURE=true, or write an origin of the same site.",
        )
    stop("SESSION_COOKIE_SAMESITE", "can be None only while SESSION_COOKIE_SECURE is true.")
