from django.conf import settings
from django.contrib.auth import logout
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.middleware import ORIGIN_REFUSED, origin_is_allowed
from styleguide_example.api.mixins import ApiAuthMixin, CsrfExemptedSessionAuthentication
from styleguide_example.api.schema import RETRY_AFTER, errors
from styleguide_example.authentication.services import auth_login


class CurrentUserSerializer(serializers.Serializer):
    """What users may know about themselves."""

    id = serializers.IntegerField()
    email = serializers.EmailField()
    is_active = serializers.BooleanField()
    is_admin = serializers.BooleanField(help_text="May use the admin site.")
    is_superuser = serializers.BooleanField(help_text="May do everything there.")


_USER = {
    "id": 1,
    "email": "ada@example.com",
    "is_active": True,
    "is_admin": False,
    "is_superuser": False,
}


class LoginApi(APIView):
    @extend_schema_serializer(component_name="LoginRequest")
    class InputSerializer(serializers.Serializer):
        email = serializers.EmailField(max_length=254)
        password = serializers.CharField(
            max_length=1024, trim_whitespace=False, style={"input_type": "password"}
        )

    @extend_schema_serializer(component_name="Login")
    class OutputSerializer(serializers.Serializer):
        session = serializers.CharField(
            required=False,
            help_text=(
                "The key for `Authorization: Session <key>`. Absent where the server takes the "
                "cookie only."
            ),
        )
        data = CurrentUserSerializer()

    @extend_schema(
        operation_id="authLogin",
        tags=["auth"],
        summary="Log in",
        description=(
            "Sets the session cookie, and returns the session's key and the user. A wrong "
            "address or password is a 400 without fields."
        ),
        request=InputSerializer,
        parameters=[RETRY_AFTER],
        responses={
            200: OpenApiResponse(OutputSerializer, description="Logged in."),
            **errors(400, 403, 413, 415, 429, fields={"email": ["Enter a valid email address."]}),
        },
        examples=[
            OpenApiExample(
                "Credentials",
                value={"email": "ada@example.com", "password": "correct horse battery 9"},
                request_only=True,
            ),
            OpenApiExample(
                "Logged in",
                value={"session": "0g1h2j3k4m5n6p7q8r9s0t1v2w3x4y5z", "data": _USER},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        payload = self.InputSerializer(data=request.data)
        payload.is_valid(raise_exception=True)
        user = auth_login(request=request, **payload.validated_data)
        result = {"data": user}
        if settings.SESSION_HEADER_ENABLED:
            result["session"] = request.session.session_key
        return Response(self.OutputSerializer(result).data)


class MeApi(ApiAuthMixin, APIView):
    @extend_schema(
        operation_id="authMe",
        tags=["auth"],
        summary="Who is logged in",
        description="The user of the session.",
        responses={
            200: OpenApiResponse(CurrentUserSerializer, description="Logged in."),
            **errors(401),
        },
        examples=[OpenApiExample("A user", value=_USER, response_only=True, status_codes=["200"])],
    )
    def get(self, request: Request) -> Response:
        return Response(CurrentUserSerializer(request.user).data)


class LogoutApi(APIView):
    authentication_classes = (CsrfExemptedSessionAuthentication,)
    permission_classes = (AllowAny,)

    _documented = {  # noqa: RUF012
        "tags": ["auth"],
        "description": (
            "Ends the session on the server and removes the cookie. Succeeds also when nobody "
            "is logged in."
        ),
        "request": None,
        "responses": {
            200: OpenApiResponse(
                OpenApiTypes.OBJECT,
                description="Logged out.",
                examples=[OpenApiExample("Logged out", value={})],
            ),
            **errors(401, 403),
        },
    }

    @extend_schema(operation_id="authLogoutGet", summary="Log out, with GET", **_documented)
    def get(self, request: Request) -> Response:
        # It changes something, so an image on another page must not do it.
        if not origin_is_allowed(request):
            raise PermissionDenied(ORIGIN_REFUSED)
        return self.post(request)

    @extend_schema(operation_id="authLogout", summary="Log out", **_documented)
    def post(self, request: Request) -> Response:
        logout(request)
        return Response({})
