"""Every error of the API has one shape: message, extra (with the fields at fault), request_id."""

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import exception_handler as rest_exception_handler

from styleguide_example.common.exceptions import ApplicationError

INVALID = "The request is not valid."
LOCKED_OUT = "Too many failed logins. Try again later."
ORIGIN_REFUSED = "This origin may not use the API."


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."


def error_body(
    *, request: HttpRequest, message: str, fields: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "message": message,
        "extra": {"fields": fields} if fields else {},
        "request_id": request.META.get("HTTP_X_REQUEST_ID"),
    }


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer what a client can act on; anything else stays an exception and becomes a 500."""
    message = fields = None
    if isinstance(error, ApplicationError):
        message, fields = error.message, error.fields
        error = exceptions.ValidationError()
    elif isinstance(error, (DjangoValidationError, exceptions.ValidationError)):
        message, fields = INVALID, _fields(error)
        error = exceptions.ValidationError()
    # Their texts are written for developers and can name what exists.
    elif isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    elif isinstance(error, RequestDataTooBig):
        error = TooLarge()

    response = rest_exception_handler(error, context)
    if response is not None:
        if message is None:
            message = str(response.data["detail"])
        response.data = error_body(request=context["request"], message=message, fields=fields)
    return response


def _fields(error: DjangoValidationError | exceptions.ValidationError) -> dict[str, Any]:
    fields = as_serializer_error(error)
    # The model's name for "no field in particular" becomes the serializer's.
    if "__all__" in fields:
        fields["non_field_errors"] = fields.pop("__all__")
    return fields


def _answer(request: HttpRequest, *, status: int, message: str) -> HttpResponse | None:
    if request.path.startswith("/api/"):
        return JsonResponse(error_body(request=request, message=message), status=status)
    return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, status=400, message=INVALID) or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(
        request, status=403, message="You may not do this."
    ) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, status=404, message="Not found.") or defaults.page_not_found(
        request, exception
    )


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(
        request, status=500, message="Something went wrong on our side."
    ) or defaults.server_error(request)
