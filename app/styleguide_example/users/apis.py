from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.filters import filtered
from styleguide_example.api.mixins import ApiAuthMixin
from styleguide_example.api.pagination import paginated_response
from styleguide_example.users.filters import UserFilter
from styleguide_example.users.selectors import user_list


class UserListApi(ApiAuthMixin, APIView):
    """The users, a page at a time: limit, offset, and the filters id, email and is_admin."""

    class OutputSerializer(serializers.Serializer):
        id = serializers.IntegerField()
        email = serializers.EmailField()
        is_admin = serializers.BooleanField()

    def get(self, request: Request) -> Response:
        users = filtered(request=request, filterset_class=UserFilter, queryset=user_list())
        return paginated_response(
            request=request, queryset=users, serializer_class=self.OutputSerializer
        )
