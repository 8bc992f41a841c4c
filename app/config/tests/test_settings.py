"""Each test starts a fresh interpreter, as a server does."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from config.tests.environments import PRODUCTION
from config.tests.test_readme import readers

_MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]


def run(*command: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run with production settings; None removes a variable."""
    values = {"PATH": os.environ["PATH"], **PRODUCTION, **environment}
    return subprocess.run(
        command,
        env={name: value for name, value in values.items() if value is not None},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
    )


def read(expression: str, **environment: str | None):
    code = f"import json; from django.conf import settings as s; print(json.dumps({expression}))"
    result = run(sys.executable, "-c", code, **environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("origin", ["https://app.example.com", "https://app.example.org"])
def test_production_passes_the_deployment_check(origin):
    check = ("check", "--deploy", "--fail-level", "WARNING")
    result = run(*_MANAGE, *check, FRONTEND_ORIGINS=origin)
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout + result.stderr


REQUIRED = ["SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS", "CELERY_BROKER_URL"]
MALFORMED = [
    ("SECRET_KEY", "short"),
    ("SECRET_KEY", "django-insecure-" + "abcdefgh" * 8),
    ("SECRET_KEY", "a" * 60),
    ("DATABASE_URL", "mysql://u:p@h/d"),
    ("DATABASE_URL", "postgres://u:p@h"),
    ("DATABASE_URL", "postgres://u:p@h:port/d"),
    ("ALLOWED_HOSTS", "*"),
    ("ALLOWED_HOSTS", ","),
    ("ALLOWED_HOSTS", "[::::]"),
    ("CELERY_BROKER_URL", "amqp://"),
    ("FRONTEND_ORIGINS", "null"),
    ("CELERY_BROKER_CA_FILE", "/no/such/authority.pem"),
    ("CELERY_BROKER_TLS_VERIFY", "perhaps"),
    ("CORS_ALLOW_ALL_ORIGINS", "maybe"),
    ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"),
    ("SECURE_SSL_REDIRECT", "maybe"),
    ("SECURE_HSTS_SECONDS", "-1"),
    ("SECURE_HSTS_INCLUDE_SUBDOMAINS", "maybe"),
    ("SESSION_COOKIE_AGE", "two weeks"),
    ("SESSION_COOKIE_AGE", "59"),
    ("SESSION_COOKIE_AGE", "2147483648"),
    ("ADMIN_IDLE_SECONDS", "59"),
    ("SESSION_COOKIE_SAMESITE", "Loose"),
    ("SESSION_COOKIE_SECURE", "maybe"),
    ("SESSION_COOKIE_HTTPONLY", "maybe"),
    ("SESSION_EXPIRE_AT_BROWSER_CLOSE", "maybe"),
    ("SESSION_SAVE_EVERY_REQUEST", "maybe"),
    ("SESSION_HEADER_ENABLED", "maybe"),
    ("SESSION_CLEANUP_INTERVAL_SECONDS", "0"),
    ("USER_LIST_ACCESS", "some"),
    ("LOGIN_FAILURES_MAX", "0"),
    ("LOGIN_LOCKOUT_SECONDS", "0"),
    ("LOGIN_ACCOUNT_FAILURES_MAX", "0"),
    ("WORKER_SOFT_SHUTDOWN_SECONDS", "soon"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("WEB_CONCURRENCY", "0"),
]


@pytest.mark.parametrize("entry_point", ["manage.py", "wsgi", "celery"])
@pytest.mark.parametrize("name", ["SECRET_KEY"])
def test_every_entry_point_stops_with_one_sentence(name, entry_point):
    command = {
        "manage.py": [*_MANAGE, "check"],
        "wsgi": [sys.executable, "-c", "import config.wsgi"],
        "celery": [sys.executable, "-m", "celery", "-A", "styleguide_example.tasks", "report"],
    }[entry_point]
    result = run(*command, **{name: None})
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"Configuration: {name} is not set." in result.stderr


@pytest.mark.parametrize("name", REQUIRED)
def test_production_has_no_default_for(name):
    result = run(sys.executable, "-c", "import config.django.production", **{name: None})
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Configuration: {name} is not set. Write ")
    assert len(result.stderr.strip().splitlines()) == 1


# Start with one value at a time, each in a process of its own that has no settings loaded yet.
_START_WITH_EACH = """
import json, os, runpy, sys
import django.conf, environ, gunicorn.glogging, publicsuffixlist, structlog
for name, value in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        os.environ[name] = value
        os.dup2(1, 2)
        import config.django.production
        runpy.run_path("gunicorn.conf.py")
        os._exit(0)
    os.waitpid(child, 0)
    print("---", flush=True)
"""


@pytest.fixture(scope="module")
def refusals() -> dict[tuple[str, str], str]:
    """What the settings say to each malformed value."""
    result = run(sys.executable, "-c", _START_WITH_EACH, json.dumps(MALFORMED))
    assert result.returncode == 0, result.stderr
    return dict(zip(MALFORMED, result.stdout.split("---\n"), strict=False))


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_production_refuses(name, value, refusals):
    sentence = refusals[name, value]
    assert sentence.startswith(f"Configuration: {name} ")
    assert len(sentence.splitlines()) == 1


def test_every_value_that_can_be_malformed_has_an_example():
    anything_goes = {"optional", "words", "os.environ.get"}
    strict = {name for name, reader in readers().items() if reader not in anything_goes}
    assert {name for name, _ in MALFORMED} == strict


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL"])
def test_a_refused_secret_is_not_printed(name):
    result = run(sys.executable, "-c", "import config.django.production", **{name: "x://u:hush@h"})
    assert result.returncode == 1
    assert f"Configuration: {name} is " in result.stderr
    assert "hush" not in result.stderr


def refusal(**environment: str) -> str:
    result = run(sys.executable, "-c", "import config.django.production", **environment)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def test_a_session_cookie_for_other_sites_must_be_secure():
    insecure = {"SESSION_COOKIE_SECURE": "false"}
    asked_for = refusal(SESSION_COOKIE_SAMESITE="None", **insecure)
    assert asked_for.startswith("Configuration: SESSION_COOKIE_SAMESITE can be None only while ")
    derived = refusal(FRONTEND_ORIGINS="https://app.example.com,https://app.org", **insecure)
    assert derived.startswith("Configuration: FRONTEND_ORIGINS holds 'https://app.org', another ")
    assert "Set SESSION_COOKIE_SECURE=true" in derived


def test_production_refuses_to_let_every_origin_in():
    assert refusal(CORS_ALLOW_ALL_ORIGINS="true").startswith(
        "Configuration: CORS_ALLOW_ALL_ORIGINS is for development only. "
    )
    local = {**dict.fromkeys(PRODUCTION), "DJANGO_SETTINGS_MODULE": "config.django.local"}
    assert read("s.CORS_ALLOW_ALL_ORIGINS", **local) is False
    assert read("s.CORS_ALLOW_ALL_ORIGINS", **local, CORS_ALLOW_ALL_ORIGINS="true") is True


@pytest.mark.parametrize(
    ("origin", "hosts", "same"),
    [
        ("https://app.example.com", "api.example.com", True),
        ("https://example.com", "api.example.com", True),
        ("https://app.example.com:8443", "API.example.com", True),
        ("https://app.example.com", ".example.com", True),
        ("https://app.example.com", "other.org,api.example.com", True),
        ("https://app.example.org", "api.example.com", False),
        ("https://example.com.evil.org", "example.com", False),
        ("https://myexample.com", "example.com", False),
        # Below a public suffix, neighbours are strangers; the list has private suffixes too.
        ("https://app.co.uk", "api.co.uk", False),
        ("https://app.example.co.uk", "api.example.co.uk", True),
        ("https://app.herokuapp.com", "api.herokuapp.com", False),
        ("https://app.herokuapp.com", ".herokuapp.com", False),
        # An address or a single label is a site of its own.
        ("http://localhost:3000", "LOCALHOST", True),
        ("http://localhost:3000", "127.0.0.1", False),
        ("http://127.0.0.1:3000", "127.0.0.1", True),
        ("https://10.0.0.1", "10.1.0.1", False),
        ("http://[::1]:3000", "[::1]", True),
    ],
)
def test_what_is_the_same_site(origin, hosts, same):
    from config.sites import foreign_origins

    foreign = foreign_origins([origin], hosts=hosts.split(","), https=origin.startswith("https:"))
    assert foreign == ([] if same else [origin])


@pytest.mark.parametrize(("https", "same"), [(True, False), (False, True)])
def test_a_page_without_https_is_foreign_to_an_api_with_it(https, same):
    from config.sites import foreign_origins

    foreign = foreign_origins(["http://app.localhost:5173"], hosts=["app.localhost"], https=https)
    assert foreign == ([] if same else ["http://app.localhost:5173"])


@pytest.mark.parametrize(
    ("environment", "samesite"),
    [
        ({}, "Lax"),
        ({"FRONTEND_ORIGINS": ""}, "Lax"),
        ({"FRONTEND_ORIGINS": "https://app.example.com,https://app.example.org"}, "None"),
        ({"ALLOWED_HOSTS": "api.example.org"}, "None"),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, "Strict"),
        ({"ALLOWED_HOSTS": "api.example.org", "SESSION_COOKIE_SAMESITE": "Lax"}, "Lax"),
    ],
)
def test_the_front_ends_decide_what_the_cookie_needs(environment, samesite):
    expression = (
        "[s.SESSION_COOKIE_SAMESITE, s.SESSION_COOKIE_SECURE, s.SESSION_COOKIE_PARTITIONED]"
    )
    assert read(expression, **environment) == [samesite, True, samesite == "None"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p%40ss@db.example.com:5433/name", ["db.example.com", 5433, "p@ss", "name"]),
        ("postgres://u:p@%2Frun%2Fpostgresql/name", ["/run/postgresql", "", "p", "name"]),
        ("postgres://u:p@/name?host=/run/postgresql", ["", "", "p", "name"]),
        ("postgres://u:p@%2Ftmp%2FPG:5433/name", ["/tmp/PG", "5433", "p", "name"]),  # noqa: S108
        ("postgresql:///name", ["", "", "", "name"]),
    ],
)
def test_a_database_url_reaches(url, expected, monkeypatch):
    from config.env import database

    monkeypatch.setenv("DATABASE_URL", url)
    config = database("DATABASE_URL")
    assert [config[key] for key in ("HOST", "PORT", "PASSWORD", "NAME")] == expected
    assert config["ENGINE"] == "django.db.backends.postgresql"


def test_one_list_of_origins_feeds_cors_and_csrf():
    origins = ["https://app.example.com", "http://localhost:3000"]
    lists = "[s.CORS_ALLOWED_ORIGINS, s.CSRF_TRUSTED_ORIGINS]"
    assert read(lists, FRONTEND_ORIGINS=" , ".join(origins)) == [origins, origins]


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("SECURE_HSTS_SECONDS", "0", "security.W004"),
        ("SECURE_HSTS_INCLUDE_SUBDOMAINS", "false", "security.W005"),
        ("SECURE_SSL_REDIRECT", "false", "security.W008"),
    ],
)
def test_a_relaxation_that_was_asked_for_does_not_fail_the_release(name, value, check):
    silenced = read("s.SILENCED_SYSTEM_CHECKS", **{name: value})
    assert silenced == ["security.W021", check]


def test_local_settings_need_no_configuration():
    nothing = dict.fromkeys(PRODUCTION)
    nothing["DJANGO_SETTINGS_MODULE"] = "config.django.local"
    values = "[s.DEBUG, s.SESSION_COOKIE_SECURE, s.SESSION_COOKIE_SAMESITE]"
    assert read(values, **nothing) == [True, False, "Lax"]


def test_without_a_choice_the_settings_are_those_of_production():
    result = run(*_MANAGE, "diffsettings", DJANGO_SETTINGS_MODULE=None)
    assert result.returncode == 0, result.stderr
    assert "SETTINGS_MODULE = 'config.django.production'" in result.stdout
