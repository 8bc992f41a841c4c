from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.filters import filtered
from styleguide_example.api.mixins import ApiAuthMixin
from styleguide_example.api.pagination import paginated_response
from styleguide_example.users.filters import UserFilter
from styleguide_example.users.schema import LIST_REFUSED, user_list_schema
from styleguide_example.users.selectors import user_list


class MayListUsers(BasePermission):
    message = LIST_REFUSED

    def has_permission(self, request: Request, view: APIView) -> bool:
        if settings.USER_LIST_ACCESS == "administrators":
            return request.user.is_staff
        return settings.USER_LIST_ACCESS == "everyone"


class UserListApi(ApiAuthMixin, APIView):
    permission_classes = (*ApiAuthMixin.permission_classes, MayListUsers)

    @extend_schema_serializer(component_name="User")
    class OutputSerializer(serializers.Serializer[Any]):
        id = serializers.IntegerField()
        email = serializers.EmailField()
        is_admin = serializers.BooleanField()

    @user_list_schema(OutputSerializer)
    def get(self, request: Request) -> Response:
        users = filtered(request=request, filterset_class=UserFilter, queryset=user_list())
        return paginated_response(
            request=request, queryset=users, serializer_class=self.OutputSerializer
        )
