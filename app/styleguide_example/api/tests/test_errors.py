import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.test import RequestFactory
from rest_framework.views import APIView

from styleguide_example.api import errors
from styleguide_example.common.exceptions import ApplicationError
from styleguide_example.users.models import User


def body(answer, *, status: int, message: str, fields: dict | None = None) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "message": message,
        "extra": {"fields": fields} if fields else {},
        "request_id": answer.headers["X-Request-ID"],
    }


def test_unknown_path(api, db):
    body(api.get("/api/nothing/"), status=404, message="Not found.")


def test_wrong_method(api, db):
    answer = api.get("/api/auth/login/")
    body(answer, status=405, message='Method "GET" not allowed.')
    assert answer.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_anything_but_json(api, db, content_type):
    answer = api.post("/api/auth/login/", "a=b", content_type=content_type)
    assert answer.status_code == 415
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("text", ["{", "", "\ufffd", "[1, 2", "nope"])
def test_malformed_json(api, db, text):
    answer = api.post("/api/auth/login/", text, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json()) == {"message", "extra", "request_id"}


@pytest.mark.parametrize("text", ["[]", '"text"', "null", "1"])
def test_json_that_is_no_object(api, db, text):
    answer = api.post("/api/auth/login/", text, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "charset", ["utf-8", "latin-1", "utf-16", "rot13", "hex", "zlib", "idna", "undefined", "no"]
)
def test_the_name_of_a_charset_changes_nothing(api, user, charset):
    login = f'{{"email": "{user.email}", "password": "correct horse battery 9"}}'.encode()
    answer = api.generic("POST", "/api/auth/login/", login, f"application/json; charset={charset}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "NaN", "1" * 5000, '{"email": "\\ud800"}']
)
def test_json_that_is_hard_to_read(api, db, text):
    answer = api.post("/api/auth/login/", text, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert "sys." not in answer.json()["message"]


def test_half_a_character_is_no_password(api, user):
    text = f'{{"email": "{user.email}", "password": "\\ud800"}}'
    answer = api.post("/api/auth/login/", text, content_type="application/json")
    assert list(answer.json()["extra"]["fields"]) == ["password"]


def test_bytes_that_are_no_text(api, db):
    answer = api.post("/api/auth/login/", b'{"email": "\xff"}', content_type="application/json")
    assert answer.status_code == 400


def test_a_body_that_is_too_large(api, db, settings):
    text = " " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE - 1) + "{}"
    answer = api.post("/api/auth/login/", text, content_type="application/json")
    body(answer, status=413, message="The body is too large.")
    fits = api.post("/api/auth/login/", text[1:], content_type="application/json")
    assert fits.status_code == 400


def test_a_client_that_wants_no_json(api, db):
    answer = api.get("/api/auth/me/", headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_a_format_in_the_address_is_ignored(api, db):
    assert api.get("/api/auth/logout/?format=csv").status_code == 200


def test_unknown_host(api, db):
    answer = api.get("/api/auth/me/", headers={"host": "evil.example"})
    body(answer, status=400, message="The request is not valid.")


def test_a_crash_tells_nothing(api, monkeypatch, caplog):
    def crash(*args):
        raise RuntimeError("hush")

    monkeypatch.setattr("styleguide_example.authentication.apis.logout", crash)
    api.raise_request_exception = False
    answer = api.get("/api/auth/logout/")
    body(answer, status=500, message="Something went wrong on our side.")
    assert "hush" not in answer.content.decode()
    assert "request_failed" in caplog.text


def test_pages_for_people_stay_html(api, db):
    answer = api.get("/nothing/")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("error", "status", "message", "fields"),
    [
        (ApplicationError("No."), 400, "No.", None),
        (ApplicationError("No.", fields={"a": ["b"]}), 400, "No.", {"a": ["b"]}),
        (
            ValidationError({"email": "Taken."}),
            400,
            errors.INVALID,
            {"email": ["Taken."]},
        ),
        (ValidationError("Odd."), 400, errors.INVALID, {"non_field_errors": ["Odd."]}),
        (Http404("hush"), 404, "Not found.", None),
        (
            PermissionDenied("hush"),
            403,
            "You do not have permission to perform this action.",
            None,
        ),
    ],
)
def test_errors_of_services(error, status, message, fields):
    request = APIView().initialize_request(RequestFactory().get("/"))
    answer = errors.exception_handler(error, {"request": request})
    assert answer is not None
    assert answer.status_code == status
    expected = {"fields": fields} if fields else {}
    assert answer.data == {"message": message, "extra": expected, "request_id": None}


def test_an_error_of_the_whole_row_is_no_field(user):
    with pytest.raises(ValidationError) as raised:
        User(email="ADA@example.com", password="x").validate_constraints()
    request = APIView().initialize_request(RequestFactory().get("/"))
    answer = errors.exception_handler(raised.value, {"request": request})
    assert answer is not None
    assert list(answer.data["extra"]["fields"]) == ["non_field_errors"]


def test_what_is_no_answer_stays_an_exception():
    request = APIView().initialize_request(RequestFactory().get("/"))
    assert errors.exception_handler(RuntimeError(), {"request": request}) is None
