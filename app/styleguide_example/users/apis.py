from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.filters import filtered
from styleguide_example.api.mixins import ApiAuthMixin
from styleguide_example.api.pagination import (
    PAGE_PARAMETERS,
    page_serializer,
    paginated_response,
)
from styleguide_example.api.schema import errors
from styleguide_example.users.filters import UserFilter
from styleguide_example.users.selectors import user_list


class UserListApi(ApiAuthMixin, APIView):
    @extend_schema_serializer(component_name="User")
    class OutputSerializer(serializers.Serializer):
        id = serializers.IntegerField()
        email = serializers.EmailField()
        is_admin = serializers.BooleanField()

    @extend_schema(
        operation_id="userList",
        tags=["users"],
        summary="The users, a page at a time",
        description="In the order of their ids. Filters combine.",
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("id", int, description="The user with this id."),
            OpenApiParameter(
                "email", str, description="The user with this address, in any spelling."
            ),
            OpenApiParameter("is_admin", bool, description="Only administrators, or only others."),
        ],
        responses={
            200: OpenApiResponse(
                page_serializer("UserPage", OutputSerializer), description="A page of users."
            ),
            **errors(400, 401, fields={"is_admin": ["Enter true or false."]}),
        },
        examples=[
            OpenApiExample(
                "The second page",
                value={
                    "limit": 1,
                    "offset": 1,
                    "count": 3,
                    "next": "https://api.example.com/api/users/?limit=1&offset=2",
                    "previous": "https://api.example.com/api/users/?limit=1",
                    "results": [{"id": 2, "email": "grace@example.com", "is_admin": True}],
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request) -> Response:
        users = filtered(request=request, filterset_class=UserFilter, queryset=user_list())
        return paginated_response(
            request=request, queryset=users, serializer_class=self.OutputSerializer
        )
