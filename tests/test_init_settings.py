"""What `make init` reads in the settings of a project."""

from pathlib import Path

import pytest
from init_project import WSGI, init, make, written


@pytest.mark.parametrize(
    ("settings", "variable", "value"),
    [
        ("import os\nos.environ['DJANGO_SECRET_KEY']", "DJANGO_SECRET_KEY", "{{ application_secret_key }}"),
        ("ALLOWED = env.list('DJANGO_ALLOWED_HOSTS')", "DJANGO_ALLOWED_HOSTS", "{{ application_domain }}"),
        ("HOST = config('POSTGRES_HOST', default='db')", "POSTGRES_HOST", "/run/postgresql"),
        ("PASSWORD = os.getenv('DB_PASSWORD')", "DB_PASSWORD", "{{ vault_database_password }}"),
        ("DEBUG = config('DEBUG', default=True, cast=bool)", "DEBUG", "False"),
    ],
)
def test_a_well_known_variable_is_set(tmp_path: Path, settings: str, variable: str, value: str) -> None:
    make(tmp_path, settings)
    assert written(tmp_path)["application_environment"][variable] == value


def test_variables_that_must_be_set_are_listed_and_others_are_not(tmp_path: Path) -> None:
    make(tmp_path, "KEY = env('STRIPE_KEY')\nURL = os.environ.get('SENTRY_DSN')\nMAIL = env.str('MAIL', default='x')\n")
    told = init(tmp_path)
    assert "STRIPE_KEY  (shop/settings.py:1)" in told
    assert "SENTRY_DSN" not in told
    assert "MAIL " not in told
    assert "STRIPE_KEY" in (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()


@pytest.mark.parametrize(
    ("settings", "value", "replaced"),
    [
        ("DEBUG = env.bool('DEBUG', False)", "False", False),
        ("DEBUG = env('DEBUG')", "False", True),
        ("env = environ.Env(DEBUG=(bool, False))\nDEBUG = env('DEBUG')", "False", False),
        ("DEBUG = config('DEBUG', default=True, cast=bool)", "False", False),
        ("DEBUG = os.environ.get('DEBUG') != 'False'", "False", True),
        ("DEBUG = bool(os.environ.get('DEBUG', 0))", "False", True),
        ("DEBUG = bool(int(os.environ.get('DEBUG', 1)))", "0", True),
        ("DEBUG = int(os.getenv('DEBUG', default=0))", "0", True),
    ],
)
def test_debug_is_off_however_it_is_read(tmp_path: Path, settings: str, value: str, replaced: bool) -> None:
    make(tmp_path, settings)
    found = written(tmp_path)
    assert found["application_environment"]["DEBUG"] == value
    assert found.get("application_settings") == ({"DEBUG": False} if replaced else None)


def test_a_variable_that_debug_is_read_from_is_known_by_its_use(tmp_path: Path) -> None:
    make(tmp_path, "DEBUG = int(os.environ['DJANGO_DEBUG'])")
    assert written(tmp_path)["application_environment"]["DJANGO_DEBUG"] == "0"


def test_literal_hosts_without_the_domain_are_replaced(tmp_path: Path) -> None:
    make(tmp_path, "ALLOWED_HOSTS = ['localhost']\nCSRF_TRUSTED_ORIGINS = ['https://old.example']\n")
    found = written(tmp_path)["application_settings"]
    assert found["ALLOWED_HOSTS"] == ["{{ application_domain }}"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://{{ application_domain }}"]


@pytest.mark.parametrize("hosts", ["shop.example", ".example", "*"])
def test_literal_hosts_with_the_domain_are_left(tmp_path: Path, hosts: str) -> None:
    make(
        tmp_path, f"ALLOWED_HOSTS = ['{hosts}']\nCSRF_TRUSTED_ORIGINS = ['https://shop.example', 'https://*.example']\n"
    )
    assert "application_settings" not in written(tmp_path)


@pytest.mark.parametrize("name", ["settings_prod", "settings_production", "production", "production_settings"])
def test_production_settings_beside_the_others_are_preferred(tmp_path: Path, name: str) -> None:
    make(tmp_path, **WSGI, **{f"shop/{name}.py": "from .settings import *\n"})
    assert written(tmp_path)["application_settings_module"] == f"shop.{name}"


def test_a_module_of_that_name_that_is_no_settings_is_left(tmp_path: Path) -> None:
    make(tmp_path, **WSGI, **{"shop/production.py": "class Line: ...\n"})
    assert written(tmp_path)["application_settings_module"] == "shop.settings"
