"""How the OpenAPI document describes login, logout and the user of a session."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from styleguide_example.api.schema import RETRY_AFTER, Decorator, SerializerClass, errors

_USER = {
    "id": 1,
    "email": "ada@example.com",
    "is_active": True,
    "is_admin": False,
    "is_superuser": False,
}


LOGIN_FAILED = "Wrong email or password."


def login_schema(credentials: SerializerClass, login: SerializerClass) -> Decorator:
    return extend_schema(
        operation_id="authLogin",
        tags=["auth"],
        summary="Log in",
        description="Sets the session cookie, and returns the session's key and the user.",
        request=credentials,
        parameters=[RETRY_AFTER],
        responses={
            200: OpenApiResponse(login, description="Logged in."),
            **errors(
                400,
                403,
                413,
                415,
                429,
                fields={"email": ["Enter a valid email address."]},
                special={401: ("Not logged in, whatever of the two is wrong.", LOGIN_FAILED)},
            ),
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


def me_schema(user: SerializerClass) -> Decorator:
    return extend_schema(
        operation_id="authMe",
        tags=["auth"],
        summary="Who is logged in",
        description="The user of the session.",
        responses={200: OpenApiResponse(user, description="Logged in."), **errors(401)},
        examples=[OpenApiExample("A user", value=_USER, response_only=True, status_codes=["200"])],
    )


def logout_schema(operation_id: str, summary: str) -> Decorator:
    return extend_schema(
        operation_id=operation_id,
        tags=["auth"],
        summary=summary,
        description=(
            "Ends the session on the server and removes the cookie. Succeeds also when nobody "
            "is logged in."
        ),
        request=None,
        responses={
            200: OpenApiResponse(
                OpenApiTypes.OBJECT,
                description="Logged out.",
                examples=[OpenApiExample("Logged out", value={})],
            ),
            **errors(401, 403),
        },
    )
