"""The description of the API, at /api/schema/ and readable at /api/docs/."""

SPECTACULAR_SETTINGS = {
    "TITLE": "Styleguide example API",
    "VERSION": "1.0.0",
    "DESCRIPTION": (
        "Log in with an email address and a password; the answer sets a session cookie. "
        "Where a browser withholds that cookie, send the key that login returns as "
        "`Authorization: Session <key>`.\n\n"
        "Every error, also of an unknown path (404), an unknown method (405) and a failure on "
        "our side (500), is an `Error`. A request that changes something is refused (403) when "
        "it comes from a page of an unknown origin."
    ),
    "OAS_VERSION": "3.1.1",
    # `minLength: 1` where a blank string is refused.
    "ENFORCE_NON_BLANK_FIELDS": True,
    "TAGS": [
        {"name": "auth", "description": "Log in, log out, and who am I."},
        {"name": "users", "description": "Everyone who has an account."},
        {"name": "health", "description": "For load balancers and monitoring."},
    ],
}
