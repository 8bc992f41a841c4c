"""What every part of the OpenAPI description shares: the error, and the two ways to log in."""

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    inline_serializer,
)
from rest_framework import serializers

from styleguide_example.api.errors import INVALID, TooLarge
from styleguide_example.api.middleware import ORIGIN_REFUSED
from styleguide_example.authentication.lockout import LOCKED_OUT

_REQUEST_ID = "4f9f0f0c7d3b4f1c8a1f0f5e6b7c8d9e"

# What it means, and one message that clients see.
_ERRORS = {
    400: (INVALID, INVALID),
    401: ("Not logged in.", "Authentication credentials were not provided."),
    403: ("The page is of an origin that is not allowed.", ORIGIN_REFUSED),
    406: ("The client does not accept JSON.", "Could not satisfy the request Accept header."),
    413: (TooLarge.default_detail, TooLarge.default_detail),
    415: ("The body is not JSON.", 'Unsupported media type "text/plain" in request.'),
    429: ("Too many failed logins from this address.", LOCKED_OUT),
}


class ErrorSerializer(serializers.Serializer):
    message = serializers.CharField(help_text="A sentence to show to a person.")
    extra = inline_serializer(
        "ErrorExtra",
        fields={
            "fields": serializers.DictField(
                child=serializers.ListField(child=serializers.CharField()),
                required=False,
                help_text="What is wrong, by the name of the field or parameter.",
            )
        },
        help_text="Empty, or the fields at fault.",
    )
    request_id = serializers.CharField(help_text="Finds this request in the logs.")


def errors(*statuses: int, fields: dict[str, list[str]] | None = None) -> dict:
    """The error answers of an operation; `fields` is its example of a 400."""
    return {status: _error(status, fields) for status in sorted({*statuses, 406})}


def _error(status: int, fields: dict[str, list[str]] | None) -> OpenApiResponse:
    description, message = _ERRORS[status]
    extra = {"fields": fields} if fields and status == 400 else {}
    value = {"message": message, "extra": extra, "request_id": _REQUEST_ID}
    example = OpenApiExample("Error", value=value)
    return OpenApiResponse(ErrorSerializer, description=description, examples=[example])


RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[429],
    description="Seconds until the next try can succeed.",
)


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "styleguide_example.api.mixins.CsrfExemptedSessionAuthentication"
    name = ("sessionCookie", "sessionHeader")[: 1 + settings.SESSION_HEADER_ENABLED]

    def get_security_requirement(self, auto_schema) -> list[dict]:
        # A list means either of them; one dictionary would mean both.
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema) -> list[dict]:
        return [
            {
                "type": "apiKey",
                "in": "cookie",
                "name": settings.SESSION_COOKIE_NAME,
                "description": "Set by login. The browser keeps it and sends it by itself.",
            },
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": (
                    "`Session <key>`, with the key that login returns. For browsers that "
                    "withhold the cookie; it wins when both are sent."
                ),
            },
        ]
