import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.tests.test_settings import read
from styleguide_example.users.models import User
from styleguide_example.users.services import users_create_demo

PATH = "/api/users/"


@pytest.fixture(autouse=True)
def access_for_everyone(settings) -> None:
    settings.USER_LIST_ACCESS = "everyone"


@pytest.fixture
def users(user) -> list[User]:
    """250 users; every 25th of the demo ones is an admin."""
    users_create_demo(emails=[f"user{number}@example.com" for number in range(249)])
    return list(User.objects.order_by("id"))


def test_the_list_needs_a_login(api, users):
    assert api.get(PATH).status_code == 401


def test_administrators_have_access_unless_it_is_set():
    assert read("s.USER_LIST_ACCESS") == "administrators"
    assert read("s.USER_LIST_ACCESS", USER_LIST_ACCESS="Nobody") == "nobody"


@pytest.mark.parametrize(
    ("access", "is_admin", "status"),
    [
        ("everyone", False, 200),
        ("everyone", True, 200),
        ("administrators", False, 403),
        ("administrators", True, 200),
        ("nobody", False, 403),
        ("nobody", True, 403),
    ],
)
def test_who_may_list_users(api_logged_in, user, settings, access, is_admin, status):
    settings.USER_LIST_ACCESS = access
    User.objects.update(is_admin=is_admin)
    answer = api_logged_in.get(PATH)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["message"] == "Your account may not list the users."
        assert user.email not in answer.content.decode()


def test_the_first_page(api_logged_in, users):
    body = api_logged_in.get(PATH).json()
    assert body == {
        "limit": 10,
        "offset": 0,
        "count": 250,
        "next": f"https://testserver{PATH}?limit=10&offset=10",
        "previous": None,
        "results": [
            {"id": user.id, "email": user.email, "is_admin": user.is_admin} for user in users[:10]
        ],
    }


def test_pages_neither_overlap_nor_miss(api_logged_in, users):
    path, seen = f"{PATH}?limit=99", []
    while path:
        body = api_logged_in.get(path).json()
        seen += [row["id"] for row in body["results"]]
        path = body["next"]
    assert seen == [user.id for user in users]
    assert body["previous"].endswith("?limit=99&offset=99")


@pytest.mark.parametrize(("limit", "effective"), [("1", 1), ("100", 100), ("101", 100)])
def test_limit_is_at_most_100(api_logged_in, users, limit, effective):
    body = api_logged_in.get(PATH, {"limit": limit}).json()
    assert body["limit"] == len(body["results"]) == effective


def test_an_offset_past_the_end_is_an_empty_page(api_logged_in, users):
    body = api_logged_in.get(PATH, {"offset": 2**31 - 1}).json()
    assert (body["results"], body["next"], body["count"]) == ([], None, 250)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"email": "USER7@example.com"}, 1),
        ({"email": "user"}, 0),
        ({"is_admin": "true"}, 9),
        ({"is_admin": "False"}, 241),
        ({"is_admin": "1"}, 9),
        ({"is_admin": ""}, 250),
        ({"id": "0"}, 0),
        ({"id": str(2**70)}, 0),
        ({"email": "user24@example.com", "is_admin": "true"}, 1),
    ],
)
def test_filters(api_logged_in, users, query, count):
    assert api_logged_in.get(PATH, query).json()["count"] == count


def test_filter_by_id(api_logged_in, users):
    body = api_logged_in.get(PATH, {"id": users[42].id}).json()
    assert [row["email"] for row in body["results"]] == [users[42].email]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "abc"),
        ("id", "1.5"),
        ("is_admin", "maybe"),
        ("email", "a\x00b"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", ""),
        ("offset", "-1"),
        ("offset", "x"),
        ("offset", str(2**63)),
    ],
)
def test_a_bad_parameter_is_named(api_logged_in, field, value):
    answer = api_logged_in.get(PATH, {field: value})
    assert answer.status_code == 400
    assert list(answer.json()["extra"]["fields"]) == [field]


def test_a_page_takes_a_fixed_number_of_queries(api_logged_in, users):
    with CaptureQueriesContext(connection) as queries:
        api_logged_in.get(PATH, {"limit": 100})
    # Session, user, count, page.
    assert len(queries) == 4
