"""What `make init` reads in the settings of a project."""

import re
from pathlib import Path

import pytest
from init_project import BASE, WSGI, init, make, written


@pytest.mark.parametrize(
    ("settings", "variable", "value"),
    [
        ("import os\nos.environ['DJANGO_SECRET_KEY']", "DJANGO_SECRET_KEY", "{{ application_secret_key }}"),
        (
            "ALLOWED = env.list('DJANGO_ALLOWED_HOSTS')",
            "DJANGO_ALLOWED_HOSTS",
            "{{ application_allowed_hosts | join(',') }}",
        ),
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
    assert found["ALLOWED_HOSTS"] == "{{ application_allowed_hosts }}"
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


@pytest.mark.parametrize(
    "lines",
    [
        "if not env.bool('S3', default=False):\n    MEDIA_ROOT = BASE_DIR / 'up'",
        "if DEBUG:\n    MEDIA_ROOT = '/tmp'\nelse:\n    MEDIA_ROOT = f'{BASE_DIR}/up'",
        "ROOT = environ.Path(__file__) - 2\nMEDIA_ROOT = str(ROOT.path('up'))",
        "ROOT = environ.Path(__file__) - 2\nMEDIA_ROOT = ROOT('up')",
        "below = lambda *way: os.path.join(BASE_DIR, *way)\nMEDIA_ROOT = below('up', '')",
        "def below(name):\n    return BASE_DIR.joinpath(name)\nMEDIA_ROOT: str = below('up')",
        "MEDIA_ROOT = os.path.join(os.path.dirname(__file__), '..', 'up')",
        "MEDIA_ROOT = os.environ.get('MEDIA_ROOT', os.path.join(BASE_DIR, 'up'))",
        "MEDIA_ROOT = 'up/'",
    ],
)
def test_a_folder_of_uploads_is_found_however_its_path_is_made(tmp_path: Path, lines: str) -> None:
    make(tmp_path, BASE + lines)
    assert written(tmp_path)["application_media_folder"] == "up"


@pytest.mark.parametrize("path", ["'/var/media'", "somewhere()", "BASE_DIR"])
def test_a_folder_of_uploads_that_is_not_found_is_told(tmp_path: Path, path: str) -> None:
    make(tmp_path, f"{BASE}MEDIA_ROOT = {path}")
    assert "MEDIA_ROOT (shop/settings.py:2) is no folder of the project that is known" in init(tmp_path)
    assert "media" not in (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()


@pytest.mark.parametrize(
    ("url", "written_url"),
    [
        ("/files/", "/files/"),
        ("files", "/files/"),
        ("https://shop.example/files/", "/files/"),
        ("https://cdn.example/files/", None),
        ("//cdn.example/files/", None),
        ("/media/", None),
        ("/two words/", None),
    ],
)
def test_an_address_is_written_where_nginx_serves_it(tmp_path: Path, url: str, written_url: str | None) -> None:
    make(tmp_path, f"{BASE}MEDIA_ROOT = BASE_DIR / 'media'\nMEDIA_URL = STATIC_URL = '{url}'")
    found = written(tmp_path)
    assert found.get("nginx_media_url") == written_url
    assert found.get("nginx_static_url") == ("/media/" if url == "/media/" else written_url)


@pytest.mark.parametrize(
    "lines",
    [
        "import os as system\nsystem.environ['STRIPE_KEY']",
        "from os import environ as place\nplace['STRIPE_KEY']",
        "secrets = environ.Env()\nKEY = secrets.str('STRIPE_KEY')",
        "from decouple import config as told\nKEY = told('STRIPE_KEY')",
        "def must(name):\n    return os.environ[name]\n\nmust('STRIPE_KEY')",
        "from .told import must\nKEY = must('STRIPE_KEY')",
        "if not DEBUG:\n    KEY = env('STRIPE_KEY')",
        "os.environ['stripe_key']",
    ],
)
def test_a_variable_is_found_however_it_is_read(tmp_path: Path, lines: str) -> None:
    make(tmp_path, lines, **WSGI, **{"shop/told.py": "import os\ndef must(name):\n    return os.environ[name]\n"})
    assert re.search(r"(?i)also need .*:\n  stripe_key  \(shop/settings.py:\d\)", init(tmp_path))


@pytest.mark.parametrize(
    "lines",
    [
        "env = environ.Env(STRIPE_KEY=(str, ''))\nKEY = env('STRIPE_KEY')",
        "os.environ.setdefault('STRIPE_KEY', 'none')\nKEY = os.environ['STRIPE_KEY']",
        "os.environ['STRIPE_KEY'] = 'none'",
        "if 'STRIPE_KEY' in os.environ:\n    KEY = os.environ['STRIPE_KEY']",
        "KEY = os.environ['STRIPE_KEY'] if os.environ.get('STRIPE_KEY') else None",
        "try:\n    KEY = os.environ['STRIPE_KEY']\nexcept KeyError:\n    KEY = ''",
        "if DEBUG:\n    KEY = env('STRIPE_KEY')",
        "def may(name, default=None):\n    return os.getenv(name, default)\nKEY = may('STRIPE_KEY')",
        "def must(name, default=None):\n    raise KeyError(os.getenv(name))\nKEY = must('STRIPE_KEY', 'none')",
        "HOME = os.environ['HOME']",
        "config = json.load(open('secrets.json'))\nKEY = config['STRIPE_KEY']",
        "config = ConfigParser()\nKEY = config.get('STRIPE_KEY')",
    ],
)
def test_no_variable_is_asked_for_in_vain(tmp_path: Path, lines: str) -> None:
    make(tmp_path, lines)
    assert "also need" not in init(tmp_path)


def test_an_address_of_the_site_is_set_and_defaults_that_lead_elsewhere_are_told(tmp_path: Path) -> None:
    lines = "env('SITE_URL', default='http://localhost:8000')\nenv('SHOP_API', default='http://a:b@localhost:9')\n"
    make(tmp_path, f"{lines}env('SHOP_NAME', default='Shop')")
    told = init(tmp_path)
    assert "lead to another machine" in told
    assert "SHOP_API  (shop/settings.py:2: http://...@localhost:9)" in told
    assert "SHOP_NAME" not in told
    application = (tmp_path / "inventories/shop/group_vars/all/application.yml").read_text()
    assert 'SITE_URL: "https://{{ application_domain }}"' in application
