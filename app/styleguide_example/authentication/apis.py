from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.errors import ORIGIN_REFUSED
from styleguide_example.api.middleware import origin_is_allowed
from styleguide_example.api.mixins import ApiAuthMixin, CsrfExemptedSessionAuthentication
from styleguide_example.authentication.schema import login_schema, logout_schema, me_schema
from styleguide_example.authentication.services import auth_login


class CurrentUserSerializer(serializers.Serializer[Any]):
    """What users may know about themselves."""

    id = serializers.IntegerField()
    email = serializers.EmailField()
    is_active = serializers.BooleanField()
    is_admin = serializers.BooleanField(help_text="May use the admin site.")
    is_superuser = serializers.BooleanField(help_text="May do everything there.")


class LoginApi(APIView):
    @extend_schema_serializer(component_name="LoginRequest")
    class InputSerializer(serializers.Serializer[Any]):
        email = serializers.EmailField(max_length=254)
        password = serializers.CharField(
            max_length=1024, trim_whitespace=False, style={"input_type": "password"}
        )

    @extend_schema_serializer(component_name="Login")
    class OutputSerializer(serializers.Serializer[Any]):
        session = serializers.CharField(
            required=False,
            help_text=(
                "The key for `Authorization: Session <key>`. Absent where the server takes the "
                "cookie only."
            ),
        )
        # The framework takes the field off the class, where the attribute has another type.
        data = CurrentUserSerializer()  # type: ignore[assignment]

    def get_authenticate_header(self, request: Request) -> str:
        # Makes "wrong password" a 401, though nothing is authenticated here yet.
        return CsrfExemptedSessionAuthentication().authenticate_header(request)

    @login_schema(InputSerializer, OutputSerializer)
    def post(self, request: Request) -> Response:
        payload = self.InputSerializer(data=request.data)
        payload.is_valid(raise_exception=True)
        user = auth_login(request=request, **payload.validated_data)
        result: dict[str, Any] = {"data": user}
        if settings.SESSION_HEADER_ENABLED:
            result["session"] = request.session.session_key
        return Response(self.OutputSerializer(result).data)


class MeApi(ApiAuthMixin, APIView):
    @me_schema(CurrentUserSerializer)
    def get(self, request: Request) -> Response:
        return Response(CurrentUserSerializer(request.user).data)


class LogoutApi(APIView):
    authentication_classes = (CsrfExemptedSessionAuthentication,)
    permission_classes = (AllowAny,)

    @logout_schema("authLogoutGet", "Log out, with GET")
    def get(self, request: Request) -> Response:
        # It changes something, so an image on another page must not do it.
        if not origin_is_allowed(request):
            raise PermissionDenied(ORIGIN_REFUSED)
        return self.post(request)

    @logout_schema("authLogout", "Log out")
    def post(self, request: Request) -> Response:
        logout(request)
        return Response({})
