from django.contrib.auth import logout
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from styleguide_example.api.mixins import ApiAuthMixin, CsrfExemptedSessionAuthentication
from styleguide_example.authentication.services import auth_login
from styleguide_example.users.selectors import user_login_data


class LoginApi(APIView):
    """Log in: sets the session cookie, and returns its key and the user."""

    class InputSerializer(serializers.Serializer):
        email = serializers.EmailField(max_length=254)
        password = serializers.CharField(max_length=1024, trim_whitespace=False)

    def post(self, request: Request) -> Response:
        payload = self.InputSerializer(data=request.data)
        payload.is_valid(raise_exception=True)
        user = auth_login(request=request, **payload.validated_data)
        return Response(
            {"session": request.session.session_key, "data": user_login_data(user=user)}
        )


class MeApi(ApiAuthMixin, APIView):
    """Who is logged in."""

    def get(self, request: Request) -> Response:
        return Response(user_login_data(user=request.user))


class LogoutApi(APIView):
    """End the session on the server and remove the cookie, whoever asks."""

    authentication_classes = (CsrfExemptedSessionAuthentication,)

    def get(self, request: Request) -> Response:
        return self.post(request)

    def post(self, request: Request) -> Response:
        logout(request)
        return Response({})
