from typing import Any

from django import forms
from django.db.models import QuerySet
from rest_framework import pagination, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

# Keeps the offset inside what the database can count to.
MAX_OFFSET = 2**31 - 1


class LimitOffsetPagination(pagination.LimitOffsetPagination):
    """`limit` is 10 unless given, and at most 100; `offset` counts from the first row."""

    default_limit = 10
    max_limit = 100

    def get_limit(self, request: Request) -> int:
        limit = _number(request, self.limit_query_param, default=self.default_limit, minimum=1)
        return min(limit, self.max_limit)

    def get_offset(self, request: Request) -> int:
        return _number(request, self.offset_query_param, default=0, minimum=0)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "limit": self.limit,
                "offset": self.offset,
                "count": self.count,
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
            }
        )


def paginated_response(
    *,
    request: Request,
    queryset: QuerySet[Any],
    serializer_class: type[serializers.Serializer[Any]],
) -> Response:
    paginator = LimitOffsetPagination()
    page = paginator.paginate_queryset(queryset, request)
    return paginator.get_paginated_response(serializer_class(page, many=True).data)


def _number(request: Request, name: str, *, default: int, minimum: int) -> int:
    # The library falls back to the default, which hides a mistake in the client.
    if name not in request.query_params:
        return default
    field = forms.IntegerField(min_value=minimum, max_value=MAX_OFFSET)
    try:
        return int(field.clean(request.query_params[name]))
    except forms.ValidationError as error:
        raise ValidationError({name: error.messages}) from error
