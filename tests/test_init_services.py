"""Which database and which broker `make init` gives a project, and where their secrets lie."""

import shutil
from pathlib import Path

import pytest
from init_project import BASE, CELERY, WSGI, commands, groups, init, make, refusal, written


def test_a_project_that_reads_a_broker_gets_one(tmp_path: Path) -> None:
    make(tmp_path, "CELERY_BROKER_URL = env('CELERY_BROKER_URL')", **WSGI, **CELERY)
    found = written(tmp_path)
    assert "slipway.host.amqp_url" in found["application_broker_url"]
    assert commands(found)["worker"].startswith("celery -A shop.celery worker")
    assert "beat" not in commands(found)
    assert groups(tmp_path) == ["web", "worker", "broker"]


def test_services_that_exist_are_used_instead_of_new_ones(tmp_path: Path) -> None:
    make(tmp_path, "env('DATABASE_URL')", **WSGI, **CELERY)
    found = written(tmp_path, "--database=postgres://db.example/shop", "--broker=redis://redis.example/3")
    assert found["application_database_url"] == "postgres://db.example/shop"
    assert found["application_broker_url"] == "redis://redis.example/3"
    assert groups(tmp_path) == ["web", "worker"]


def test_a_password_in_a_url_stays_out_of_what_is_committed(tmp_path: Path) -> None:
    make(tmp_path, "env('DATABASE_URL')")
    url = "postgres://shop:s3cret@db.example/shop"
    found = written(tmp_path, f"--database={url}")
    assert found["application_database_url"] == "{{ vault_database_url }}"
    folder = tmp_path / "inventories/shop"
    assert "s3cret" not in "".join(path.read_text() for path in folder.glob("**/*.yml"))
    assert (
        "vault_database_url: \"{{ lookup('slipway.host.secret', 'database_url') }}\""
        in (folder / "group_vars/all/vault.yml").read_text().splitlines()
    )
    kept = folder / ".secrets/database_url"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (url, 0o600)


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("database", "postgres://db.example/shop?password=s3cret"),
        ("database", "postgres://s3cret@db.example/shop"),
        ("broker", "sqs://KEY:s3/cret@"),
    ],
)
def test_a_secret_anywhere_in_a_url_stays_out_of_what_is_committed(tmp_path: Path, option: str, url: str) -> None:
    make(tmp_path, "env('DATABASE_URL')")
    assert written(tmp_path, f"--{option}={url}")[f"application_{option}_url"] == f"{{{{ vault_{option}_url }}}}"
    assert (tmp_path / f"inventories/shop/.secrets/{option}_url").read_text() == url


def test_a_broker_that_exists_is_used_also_where_no_celery_is_found(tmp_path: Path) -> None:
    make(tmp_path)
    found = written(tmp_path, "--broker=redis://redis.example/3")
    assert found["application_broker_url"] == "redis://redis.example/3"
    shutil.rmtree(tmp_path / "inventories")
    said = init(tmp_path, "--broker=redis://redis.example/3")
    assert "The settings read no CELERY_BROKER_URL, which says where BROKER is" in said


def test_a_database_that_the_settings_do_not_read_is_told(tmp_path: Path) -> None:
    make(tmp_path)
    assert "The settings read no DATABASE_URL" in init(tmp_path, "--database=postgres://db.example/shop")


def test_a_project_that_reads_redis_url_gets_a_cache_with_a_password(tmp_path: Path) -> None:
    make(tmp_path, "env('REDIS_URL')\nenv('REDIS_LOCATION')")
    found = written(tmp_path)
    assert found["application_cache_url"] == "{{ vault_cache_password | slipway.host.redis_url }}"
    assert found["cache_password"] == "{{ vault_cache_password }}"  # noqa: S105 - a reference
    assert found["application_environment"] == {"REDIS_LOCATION": "{{ application_cache_url }}"}
    assert "cache_persistent" not in found
    assert groups(tmp_path) == ["web", "cache"]
    assert (tmp_path / "inventories/shop/.secrets/cache_password").is_file()


@pytest.mark.parametrize(
    ("read", "options", "persistent"),
    [("", [], True), ("env('CELERY_BROKER_URL')", [], False), ("", ["--broker=amqp://mq.example/shop"], False)],
)
def test_a_cache_that_keeps_the_queue_too_survives_a_restart(
    tmp_path: Path, read: str, options: list[str], persistent: bool
) -> None:
    make(tmp_path, f"env('REDIS_URL')\n{read}", **WSGI, **CELERY)
    assert written(tmp_path, *options).get("cache_persistent", False) == persistent
    assert "cache" in groups(tmp_path)
    assert ("broker" in groups(tmp_path)) == bool(read)


@pytest.mark.parametrize(
    ("cache", "port"),
    [
        ("cache_password: x\n", 6381),
        ("cache_port: 6381\n", None),
        ("cache_password: x\ncache_port: '6380' # x\n", 6381),
    ],
)
def test_two_projects_do_not_share_a_port_of_redis(tmp_path: Path, cache: str, port: int | None) -> None:
    make(tmp_path, "env('REDIS_URL')")
    other = tmp_path / "inventories/other/group_vars/all"
    other.mkdir(parents=True)
    (other / "application.yml").write_text(cache)
    found = written(tmp_path)
    assert found.get("cache_port") == port
    assert ("redis_url(port=6381)" in found["application_cache_url"]) == bool(port)


def test_the_parts_of_a_redis_are_filled(tmp_path: Path) -> None:
    make(tmp_path, "env('REDIS_HOST')\nenv('REDIS_PORT')\nenv('REDIS_PASSWORD')", **WSGI, **CELERY)
    found = written(tmp_path)
    assert found["application_environment"] == {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PASSWORD": "{{ vault_cache_password }}",
        "REDIS_PORT": "6380",
    }
    assert groups(tmp_path) == ["web", "worker", "cache"]


@pytest.mark.parametrize(
    "files",
    [
        {"shop/celery.py": "app = Celery('shop', broker=os.environ['REDIS_URL'])\n"},
        {
            "shop/celery.py": "app = Celery('shop')\napp.config_from_object('shop.tuning')\n",
            "shop/tuning.py": "broker_url = os.environ['REDIS_URL']\n",
        },
    ],
)
def test_what_celery_s_own_modules_read_counts(tmp_path: Path, files: dict[str, str]) -> None:
    make(tmp_path, **WSGI, **files)
    assert written(tmp_path)["cache_persistent"] is True
    assert groups(tmp_path) == ["web", "worker", "cache"]


def test_a_broker_that_is_written_out_is_replaced(tmp_path: Path) -> None:
    make(tmp_path, "CELERY_BROKER_URL = 'redis://localhost:6379/0'\nenv('REDIS_URL', default='')", **WSGI, **CELERY)
    found = written(tmp_path)
    assert "cache_persistent" not in found
    assert found["application_settings"]["CELERY_BROKER_URL"] == "{{ application_broker_url }}"
    assert groups(tmp_path) == ["web", "worker", "broker", "cache"]


def test_a_broker_that_a_project_with_redis_does_not_read_is_told(tmp_path: Path) -> None:
    make(tmp_path, "env('REDIS_URL')", **WSGI, **CELERY)
    assert "The settings read no CELERY_BROKER_URL" in init(tmp_path, "--broker=amqp://mq.example/shop")


def test_a_cache_of_memory_alone_stays_one(tmp_path: Path) -> None:
    make(tmp_path, "env.cache('CACHE_URL', default='locmemcache://')")
    assert "application_cache_url" not in written(tmp_path)


def test_a_redis_that_exists_is_used_where_the_settings_read_redis_url(tmp_path: Path) -> None:
    make(tmp_path, "env('REDIS_URL')", **WSGI, **{"shop/celery.py": "app = Celery('shop')\n"})
    found = written(tmp_path, "--broker=rediss://:s3cret@redis.example/0")
    assert found["application_environment"]["REDIS_URL"] == "{{ application_broker_url }}"
    assert "application_packages" not in found


PARTS = "".join(f"env('DB_{part}')\n" for part in ("HOST", "PORT", "NAME", "USER", "PASSWORD"))


def test_the_parts_of_a_database_that_exists_are_filled_from_its_url(tmp_path: Path) -> None:
    make(tmp_path, PARTS)
    found = written(tmp_path, "--database=postgres://ada:s3%2Fcret@db.example:5433/shop?sslmode=require")
    assert found["application_environment"] == {
        "DB_HOST": "db.example",
        "DB_PORT": "5433",
        "DB_NAME": "shop",
        "DB_USER": "ada",
        "DB_PASSWORD": "{{ vault_database_password }}",
    }
    assert (tmp_path / "inventories/shop/.secrets/database_password").read_text() == "s3/cret"
    assert found["vault_database_password"] == "{{ lookup('slipway.host.secret', 'database_password') }}"  # noqa: S105 - a reference


@pytest.mark.parametrize(
    ("read", "options", "engine"),
    [
        ("os.environ.get('SQL_ENGINE', 'django.db.backends.sqlite3')", [], "django.db.backends.postgresql"),
        ("os.environ['DB_ENGINE']", [], "django.db.backends.postgresql"),
        ("env('DB_ENGINE', default='django.contrib.gis.db.backends.postgis')", [], None),
        ("env('DB_ENGINE')", ["--database=mysql://db.example/shop"], "django.db.backends.mysql"),
    ],
)
def test_the_engine_fits_the_database(tmp_path: Path, read: str, options: list[str], engine: str | None) -> None:
    make(tmp_path, f"{PARTS}ENGINE = {read}")
    found = written(tmp_path, *options)["application_environment"]
    assert found.get("SQL_ENGINE", found.get("DB_ENGINE")) == engine


def written_out(engine: str) -> str:
    return f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.{engine}', 'NAME': 'shop'}}}}\n"


@pytest.mark.parametrize("engine", ["mysql", "oracle"])
def test_a_database_that_no_role_makes_is_refused(tmp_path: Path, engine: str) -> None:
    make(tmp_path, PARTS + written_out(engine))
    sentence = f"The settings use {engine} (shop/settings.py:6), and Slipway makes servers of PostgreSQL alone: "
    assert sentence in refusal(tmp_path)
    assert written(tmp_path, f"--database={engine}://db.example/shop")["application_database_url"]


@pytest.mark.parametrize(
    "settings",
    [
        f"{written_out('mysql')}DATABASES['default'] = dj_database_url.config()",
        f"if os.environ.get('MYSQL'):\n    {written_out('mysql')}else:\n    {written_out('postgresql')}{PARTS}",
    ],
)
def test_a_database_of_which_another_kind_will_do_is_taken(tmp_path: Path, settings: str) -> None:
    make(tmp_path, settings)
    written(tmp_path)
    assert groups(tmp_path) == ["web", "database"]


@pytest.mark.parametrize(
    ("read", "name"),
    [("env.db('SHOP_DB')", "SHOP_DB"), ("dj_database_url.parse(os.environ['DB_URL'])", "DB_URL")],
)
def test_a_url_of_a_database_has_any_name(tmp_path: Path, read: str, name: str) -> None:
    make(tmp_path, f"DATABASES = {{'default': {read}}}")
    assert written(tmp_path)["application_environment"] == {name: "{{ application_database_url }}"}
    assert groups(tmp_path) == ["web", "database"]


@pytest.mark.parametrize(("default", "value"), [("shop", None), ("django.db.backends.sqlite3", True)])
def test_a_name_of_a_database_is_no_engine(tmp_path: Path, default: str, value: bool | None) -> None:
    make(tmp_path, f"{PARTS}NAME = env('DATABASE', default='{default}')")
    assert ("DATABASE" in written(tmp_path)["application_environment"]) == bool(value)


def test_a_kind_of_database_that_the_settings_ask_for_is_postgresql(tmp_path: Path) -> None:
    make(tmp_path, f"{PARTS}KIND = os.environ.get('DB', 'sqlite')\nif KIND == 'postgres':\n    pass\n")
    assert written(tmp_path)["application_environment"]["DB"] == "postgres"
    shutil.rmtree(tmp_path / "inventories")
    assert "DB" not in written(tmp_path, "--database=mysql://db.example/shop")["application_environment"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgis", "mysql", "sqlite"])
def test_every_database_that_django_knows_can_be_given(tmp_path: Path, scheme: str) -> None:
    make(tmp_path, "env('DATABASE_URL')")
    url = f"{scheme}://db.example/shop"
    assert written(tmp_path, f"--database={url}")["application_database_url"] == url


def test_what_to_do_for_postgresql_is_told(tmp_path: Path) -> None:
    make(tmp_path, f"{BASE}DATABASES = {{'default': {{'NAME': BASE_DIR / 'db.sqlite3'}}}}")
    words = " ".join(init(tmp_path).split())
    assert "let the settings read DATABASE_URL, remove inventories/shop and run this again." in words


def test_a_database_of_a_server_is_no_file(tmp_path: Path) -> None:
    make(tmp_path, written_out("postgresql"))
    assert "The settings name no database that is known" in init(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["os.path.join(BASE_DIR, 'db.sqlite3')", "str(BASE_DIR) + '/db.sqlite3'", "env('SQLITE', default='db.sqlite3')"],
)
def test_a_database_that_is_a_file_is_found_however_its_path_is_made(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"{BASE}DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {name}}}}}")
    assert written(tmp_path)["application_persistent_paths"] == ["db.sqlite3"]


SENDS = "from django.core.mail import send_mail\n"


@pytest.mark.parametrize(
    ("settings", "files", "told"),
    [
        ("", {"shop/views.py": SENDS}, True),
        ("EMAIL_HOST = env('EMAIL_HOST')", {}, True),
        ("INSTALLED_APPS = ['allauth']", {}, True),
        ("EMAIL_BACKEND = 'anymail.backends.mailgun.EmailBackend'", {"shop/views.py": SENDS}, False),
        ("", {}, False),
    ],
)
def test_a_project_that_sends_mail_is_told_of_the_relay(
    tmp_path: Path, settings: str, files: dict[str, str], told: bool
) -> None:
    make(tmp_path, settings, **WSGI, **files)
    assert ("name a relay in application_mail_url" in init(tmp_path)) == told
