"""How the OpenAPI document describes the API of users."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from styleguide_example.api.schema import (
    PAGE_PARAMETERS,
    Decorator,
    SerializerClass,
    errors,
    page_serializer,
)

LIST_REFUSED = "Your account may not list the users."


def user_list_schema(user: SerializerClass) -> Decorator:
    return extend_schema(
        operation_id="userList",
        tags=["users"],
        summary="The users, a page at a time",
        description=(
            "In the order of their ids. Filters combine. For administrators only, unless the "
            "server is set to let everyone who is logged in, or nobody."
        ),
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("id", int, description="The user with this id."),
            OpenApiParameter(
                "email",
                # Anything but a NUL, which is no text for the database.
                {"type": "string", "pattern": r"^[^\u0000]*$"},
                description="The user with this address, in any spelling.",
            ),
            OpenApiParameter("is_admin", bool, description="Only administrators, or only others."),
        ],
        responses={
            200: OpenApiResponse(page_serializer("UserPage", user), description="A page of users."),
            **errors(
                400,
                401,
                fields={"is_admin": ["Enter true or false."]},
                special={403: ("The server lets others list the users, or nobody.", LIST_REFUSED)},
            ),
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
