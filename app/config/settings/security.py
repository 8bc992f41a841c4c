"""Transport security and passwords. Each relaxation is a variable that someone has to set."""

from csp.constants import NONE, SELF

from config.env import boolean, integer

# Whether a request came over HTTPS is what gunicorn says, which knows who connected and so whom
# to believe: see forwarded_allow_ips. SECURE_PROXY_SSL_HEADER would believe everybody.
SECURE_SSL_REDIRECT = boolean("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = integer("SECURE_HSTS_SECONDS", default=31536000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# What the docs and the admin need: nothing from another host, and no script or style inside a page.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# W021: a preload list is hard to leave, so joining it is the domain owner's own step.
# The others warn of what the environment asks for in so many words.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
if not SECURE_HSTS_SECONDS:
    SILENCED_SYSTEM_CHECKS.append("security.W004")
if not SECURE_HSTS_INCLUDE_SUBDOMAINS:
    SILENCED_SYSTEM_CHECKS.append("security.W005")
if not SECURE_SSL_REDIRECT:
    SILENCED_SYSTEM_CHECKS.append("security.W008")

# The second hasher reads older passwords; Django rewrites them with the first at login.
PASSWORD_HASHERS = [
    "styleguide_example.users.hashers.Argon2Hasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email"]},
    },
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
