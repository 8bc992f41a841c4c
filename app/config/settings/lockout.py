"""Failed logins. They lock one account for one client address, and slow the account elsewhere.

Counted in the database, and so over all workers.
"""

from datetime import timedelta

from config.env import integer

AUTHENTICATION_BACKENDS = [
    # First: a locked pair is refused before its password is looked at.
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]

# Wrong passwords that a person may type before waiting. Lower it for an API that guards
# sensitive data.
AXES_FAILURE_LIMIT = integer("LOGIN_FAILURES_MAX", default=5, minimum=1)

# How long to wait then, 15 minutes; failures that are older no longer count.
AXES_COOLOFF_TIME = timedelta(seconds=integer("LOGIN_LOCKOUT_SECONDS", default=900, minimum=1))

# Wrong passwords from all addresses together, in the same time. An account that has had so many
# takes one try every 9 seconds (900 / 100): so fast may many machines guess, and no faster. An
# address that it has logged in from lately need not wait.
LOGIN_ACCOUNT_FAILURES_MAX = integer("LOGIN_ACCOUNT_FAILURES_MAX", default=100, minimum=1)
LOGIN_ADDRESS_MEMORY = timedelta(days=30)

AXES_HANDLER = "styleguide_example.authentication.lockout.Handler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "styleguide_example.authentication.lockout.account"
AXES_CLIENT_IP_CALLABLE = "styleguide_example.authentication.lockout.client_address"
AXES_LOCKOUT_CALLABLE = "styleguide_example.authentication.lockout.lockout_response"
AXES_RESET_ON_SUCCESS = True
# A try during the lockout does not prolong it.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Masked, like the password, where a row keeps what a form sent, and in the log of axes. The row's
# own columns show account and address: an administrator needs both to unlock.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "csrfmiddlewaretoken"]
AXES_VERBOSE = False
