from typing import Any

import pytest
from django.test import Client

from styleguide_example.users.models import User
from styleguide_example.users.services import user_create

PASSWORD = "correct horse battery 9"  # noqa: S105  # It protects nothing.


class ApiClient(Client):
    """A browser's view of the API: over HTTPS, unless a test says otherwise."""

    scheme = "https"

    def __init__(self, *, enforce_csrf_checks: bool = True) -> None:
        super().__init__(
            enforce_csrf_checks=enforce_csrf_checks,
            HTTP_HOST="testserver",
            HTTP_SEC_FETCH_SITE="same-origin",
        )

    def request(self, **request: Any) -> Any:
        return super().request(**request | {"wsgi.url_scheme": self.scheme})

    def post_json(self, path: str, data: dict[str, Any] | None = None, **extra: Any) -> Any:
        return self.post(path, data or {}, content_type="application/json", **extra)

    def log_in(self, *, email: str, password: str = PASSWORD, **extra: Any) -> Any:
        return self.post_json("/api/auth/login/", {"email": email, "password": password}, **extra)


@pytest.fixture
def api() -> ApiClient:
    return ApiClient()


@pytest.fixture
def user(db: None) -> User:
    return user_create(email="ada@example.com", password=PASSWORD)


@pytest.fixture
def api_logged_in(user: User) -> ApiClient:
    client = ApiClient()
    client.force_login(user)
    return client
