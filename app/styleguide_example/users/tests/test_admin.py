import pytest

from conftest import ApiClient
from styleguide_example.users.models import User


@pytest.fixture
def admin(user) -> ApiClient:
    User.objects.filter(id=user.id).update(is_admin=True, is_superuser=True)
    client = ApiClient(enforce_csrf_checks=False)
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/users/user/",
        "/admin/users/user/add/",
        "/admin/users/user/{id}/change/",
    ],
)
def test_an_admin_sees(admin, user, path):
    assert admin.get(path.format(id=user.id)).status_code == 200


def test_others_do_not(api_logged_in, user):
    answer = api_logged_in.get("/admin/users/user/")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/")


def test_an_admin_adds_a_user(admin):
    password = "another horse battery 9"
    answer = admin.post(
        "/admin/users/user/add/",
        {
            "email": "New@Example.com",
            "usable_password": "true",
            "password1": password,
            "password2": password,
        },
    )
    assert answer.status_code == 302, answer.content.decode()
    assert User.objects.get(email="new@example.com").check_password(password)
