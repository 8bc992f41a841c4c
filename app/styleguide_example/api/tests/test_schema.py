"""The description that clients are generated from."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

from config.tests.test_settings import read, run
from styleguide_example.users.filters import UserFilter

COMMITTED = Path(settings.BASE_DIR, "openapi.yaml")
OPERATIONS = {
    "authLogin": "POST /api/auth/login/",
    "authMe": "GET /api/auth/me/",
    "authLogout": "POST /api/auth/logout/",
    "authLogoutGet": "GET /api/auth/logout/",
    "userList": "GET /api/users/",
    "healthLive": "GET /health/live/",
    "healthReady": "GET /health/ready/",
}


@pytest.fixture(scope="module")
def document() -> dict:
    return yaml.safe_load(COMMITTED.read_text())


@pytest.fixture(scope="module")
def operations(document) -> dict[str, dict]:
    return {
        operation["operationId"]: operation | {"request": f"{method.upper()} {path}"}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_committed_file_is_current(tmp_path):
    fresh = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(fresh))
    assert COMMITTED.read_text() == fresh.read_text(), (
        "Write it again: manage.py spectacular --validate --fail-on-warn --file openapi.yaml"
    )


def test_every_operation_has_its_name(operations):
    assert {name: operation["request"] for name, operation in operations.items()} == OPERATIONS


def test_every_operation_is_described_with_examples(operations):
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for described in [*bodies, *operation["responses"].values()]:
            (content,) = described["content"].values()
            assert content["examples"], name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], name


def test_every_error_is_the_one_shape(document, operations):
    error = document["components"]["schemas"]["Error"]
    assert error["required"] == ["extra", "message", "request_id"]
    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            if status.startswith("4"):
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Error"}, name


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("authLogin", {200, 400, 401, 403, 406, 413, 415, 429}),
        ("authMe", {200, 401, 406}),
        ("authLogout", {200, 401, 403, 406}),
        ("authLogoutGet", {200, 401, 403, 406}),
        ("userList", {200, 400, 401, 403, 406}),
        ("healthLive", {200, 406}),
        ("healthReady", {200, 406, 503}),
    ],
)
def test_the_answers_of(name, statuses, operations):
    assert {int(status) for status in operations[name]["responses"]} == statuses


def test_both_ways_to_log_in_are_described(document, operations):
    schemes = document["components"]["securitySchemes"]
    assert {(scheme["in"], scheme["name"]) for scheme in schemes.values()} == {
        ("cookie", "sessionid"),
        ("header", "Authorization"),
    }
    either: list[dict[str, list[str]]] = [{"sessionCookie": []}, {"sessionHeader": []}]
    assert operations["authMe"]["security"] == operations["userList"]["security"] == either
    assert operations["authLogout"]["security"] == [*either, {}]
    assert "security" not in operations["authLogin"]


def test_every_filter_is_described(operations):
    described = {parameter["name"] for parameter in operations["userList"]["parameters"]}
    assert described == {*UserFilter.base_filters, "limit", "offset"}


def test_the_schema_is_served(api, db):
    answer = api.get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1.")
    assert set(answer.json()["paths"]) == {path.split()[1] for path in OPERATIONS.values()}


@pytest.mark.parametrize("query", ["", "?version=2", "?lang=de", "?format=json"])
@pytest.mark.parametrize("accept", ["application/json", "application/yaml", "*/*"])
def test_the_document_is_made_once(api, monkeypatch, accept, query):
    first = api.get("/api/schema/", headers={"Accept": accept})
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)
    again = api.get(f"/api/schema/{query}", headers={"Accept": accept})
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]


def test_the_document_is_yaml_unless_the_client_wants_json(api):
    answer = api.get("/api/schema/")
    assert answer.headers["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert yaml.safe_load(answer.content) == yaml.safe_load(COMMITTED.read_text())


def test_without_the_header_setting_the_schema_does_not_offer_it():
    generate = (
        "__import__('django').setup() or __import__('drf_spectacular.generators', "
        "fromlist=['x']).SchemaGenerator().get_schema()['components']['securitySchemes']"
    )
    assert list(read(generate, SESSION_HEADER_ENABLED="false")) == ["sessionCookie"]


def test_the_docs_use_nothing_from_other_hosts(api, db):
    answer = api.get("/api/docs/")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "<title>Styleguide example API</title>" in text
    files = re.findall(r'(?:src|href)="/static/([^"]+)"', text)
    assert len(files) == 4
    assert all(finders.find(name) for name in files)
    # Nothing else is loaded, and there is no script or style in the page.
    assert len(re.findall(r"src=|href=", text)) == 4
    assert "<style" not in text
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.S) == ["", ""]
    assert not answer.cookies


def test_the_docs_work_with_the_files_of_production(tmp_path):
    environment = {"STATIC_ROOT": str(tmp_path)}
    manage = [sys.executable, "manage.py"]
    collected = run(*manage, "collectstatic", "--noinput", **environment)
    assert collected.returncode == 0, collected.stderr
    page = (
        "from django.template.loader import render_to_string as r;"
        "import json; print(json.dumps(r('api/docs.html')))"
    )
    rendered = run(*manage, "shell", "--no-imports", "-c", page, **environment)
    assert rendered.returncode == 0, rendered.stderr
    files = re.findall(r'="/static/([^"]+)"', json.loads(rendered.stdout))
    assert all(re.search(r"\.[0-9a-f]{12}\.", name) for name in files)
    assert all((tmp_path / name).is_file() for name in files)
