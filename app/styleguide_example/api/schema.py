"""What every part of the OpenAPI document shares: errors, pages, and the two ways to log in.

What is special to one operation is in schema.py beside its apis.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    inline_serializer,
)
from rest_framework import serializers

from styleguide_example.api.errors import INVALID, LOCKED_OUT, ORIGIN_REFUSED, TooLarge
from styleguide_example.api.pagination import MAX_OFFSET, LimitOffsetPagination

_Method = TypeVar("_Method", bound=Callable[..., Any])
SerializerClass: TypeAlias = type[serializers.Serializer[Any]]


class Decorator(Protocol):
    """What extend_schema returns: it describes a method, and changes nothing else of it."""

    def __call__(self, method: _Method, /) -> _Method: ...


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


class ErrorSerializer(serializers.Serializer[Any]):
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


def errors(
    *statuses: int,
    fields: dict[str, list[str]] | None = None,
    special: Mapping[int, tuple[str, str]] | None = None,
) -> dict[int, OpenApiResponse]:
    """The error answers of an operation; `fields` is its example of a 400.

    `special` has, like _ERRORS, those that mean something else here.
    """
    meanings = {status: _ERRORS[status] for status in {*statuses, 406}} | dict(special or {})
    return {status: _error(status, *meanings[status], fields) for status in sorted(meanings)}


def _error(
    status: int, description: str, message: str, fields: dict[str, list[str]] | None
) -> OpenApiResponse:
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

_NUMBER = {"type": "integer", "maximum": MAX_OFFSET}

PAGE_PARAMETERS = [
    OpenApiParameter(
        "limit",
        {**_NUMBER, "minimum": 1, "default": LimitOffsetPagination.default_limit},
        description=f"Rows in a page. Above {LimitOffsetPagination.max_limit}, it counts as that.",
    ),
    OpenApiParameter(
        "offset",
        {**_NUMBER, "minimum": 0, "default": 0},
        description="Rows to skip.",
    ),
]


def page_serializer(name: str, serializer_class: SerializerClass) -> serializers.Serializer[Any]:
    """The page that paginated_response answers with."""
    return inline_serializer(
        name,
        fields={
            "limit": serializers.IntegerField(help_text="The one in effect."),
            "offset": serializers.IntegerField(),
            "count": serializers.IntegerField(help_text="Rows in all pages together."),
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": serializer_class(many=True),
        },
    )


_SESSION_COOKIE = {
    "type": "apiKey",
    "in": "cookie",
    "name": settings.SESSION_COOKIE_NAME,
    "description": "Set by login. The browser keeps it and sends it by itself.",
}
_SESSION_HEADER = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": (
        "`Session <key>`, with the key that login returns. For browsers that "
        "withhold the cookie; it wins when both are sent."
    ),
}
_SCHEMES = {"sessionCookie": _SESSION_COOKIE}
if settings.SESSION_HEADER_ENABLED:
    _SCHEMES["sessionHeader"] = _SESSION_HEADER
_NAMES = list(_SCHEMES)


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "styleguide_example.api.mixins.CsrfExemptedSessionAuthentication"
    name = _NAMES

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        # A list means either of them; one dictionary would mean both.
        return [{name: []} for name in _NAMES]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return list(_SCHEMES.values())
