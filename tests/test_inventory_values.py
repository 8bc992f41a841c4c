"""What a value of an inventory must be, what is said about one that is not, and what is never shown."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slipway.host.plugins.module_utils.inventory import network, sentences
from ansible_collections.slipway.host.plugins.module_utils.inventory.specs import broken_rule
from repository import ROOT

OPTIONS: dict[str, Any] = {
    "shop_http_port": {"type": "int", "description": "Port."},
    "shop_name": {"type": "str", "required": True, "description": "Name."},
    "shop_domain": {"type": "str", "description": "Host name."},
    "shop_frontend_origins": {"type": "list", "elements": "str", "description": "Origins."},
    "shop_other_domains": {"type": "list", "elements": "str", "description": "Host names."},
    "shop_frontends": {
        "type": "list",
        "elements": "dict",
        "description": "Front ends.",
        "options": {"domain": {"type": "str", "required": True}, "path": {"type": "path", "required": True}},
    },
    "shop_listen_addresses": {"type": "list", "elements": "str", "description": "Addresses."},
    "shop_client_networks": {"type": "list", "elements": "str", "description": "Networks."},
    "shop_private_ports": {
        "type": "list",
        "elements": "dict",
        "description": "Ports.",
        "options": {
            "port": {"type": "int", "required": True},
            "networks": {"type": "list", "elements": "str", "required": True},
        },
    },
    "shop_timeout_seconds": {"type": "int", "description": "Time."},
    "shop_memory_mb": {"type": "int", "description": "Memory."},
    "shop_share_percent": {"type": "int", "description": "Share."},
    "shop_data_path": {"type": "str", "description": "Folder."},
    "shop_contact_email": {"type": "str", "description": "Address."},
    "shop_debug_enabled": {"type": "bool", "description": "Debug."},
    "shop_source": {"type": "str", "choices": ["acme", "provided"], "description": "Source."},
    "shop_people": {
        "type": "list",
        "elements": "dict",
        "description": "People.",
        "options": {"name": {"type": "str", "required": True}, "age": {"type": "int"}},
    },
    "shop_api_key": {"type": "str", "no_log": True, "choices": ["only-this-key"], "description": "Key."},
}


# Names whose whole is a promise, not only their end.
NAMED: dict[str, Any] = {
    "project_name": {"type": "str", "required": True, "description": "Name."},
    "base_reboot_time": {"type": "str", "description": "Time."},
    "application_environment": {"type": "dict", "no_log": True, "description": "Environment."},
    "certificates_names": {"type": "list", "elements": "str", "description": "Names."},
    "certificates_acme_server": {"type": "str", "description": "Address."},
    "application_broker_url": {"type": "str", "no_log": True, "description": "Broker."},
    "application_health_path": {"type": "str", "description": "Path."},
    "application_media_folder": {"type": "str", "description": "Folder."},
    "application_build_commands": {"type": "list", "elements": "str", "description": "Commands."},
    "application_persistent_paths": {"type": "list", "elements": "str", "description": "Paths."},
    "application_packages": {"type": "list", "elements": "str", "description": "Packages."},
    "application_python_packages": {"type": "list", "elements": "str", "description": "Packages."},
    "application_requirements_file": {"type": "str", "description": "File."},
    "application_cache_url": {"type": "str", "no_log": True, "description": "URL."},
    "application_files": {"type": "dict", "no_log": True, "description": "Files."},
    "application_mail_url": {"type": "str", "no_log": True, "description": "URL."},
    "application_python": {"type": "str", "description": "Python."},
    "application_python_mirror": {"type": "str", "description": "Address."},
    "cache_memory_mb": {"type": "int", "description": "Memory."},
    "application_settings": {"type": "dict", "no_log": True, "description": "Settings."},
    "application_processes": {
        "type": "list",
        "elements": "dict",
        "description": "Processes.",
        "options": {
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "required": True, "choices": ["web", "worker", "beat", "timer"]},
            "command": {"type": "str", "required": True},
            "count": {"type": "int"},
            "schedule": {"type": "str"},
        },
    },
}


def process(name: str, kind: str = "worker", command: str = "celery", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "command": command, **more}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_name", "My shop"),
        ("project_name", "../etc"),
        ("project_name", "postgres"),
        ("project_name", "a" * 25),
        ("application_environment", {"BAD KEY": "hidden"}),
        ("application_environment", {"EMPTY": None}),
        ("application_build_commands", ["npm ci", " "]),
        ("application_build_commands", ["npm ci\nnpm run build"]),
        ("application_broker_url", "http://127.0.0.1"),
        ("application_broker_url", "amqp:broker.example"),
        ("application_broker_url", "127.0.0.1:5672"),
        ("application_broker_url", "amqp://shop:secret@broker.example:port/shop"),
        ("application_broker_url", "amqp://shop:secret@broker.example:70000/shop"),
        ("application_cache_url", "memcached://127.0.0.1"),
        ("application_cache_url", "redis://"),
        ("application_cache_url", "redis://redis.example:70000"),
        ("base_reboot_time", "3:30"),
        ("base_reboot_time", "24:00"),
        ("base_reboot_time", "now"),
        ("cache_memory_mb", 0),
        ("application_files", {"../local_settings.py": "text"}),
        ("application_files", {"/etc/shop.json": "text"}),
        ("application_files", {".venv/secrets.json": "text"}),
        ("application_files", {"secrets": "text", "secrets/one.json": "text"}),
        ("application_files", {"secrets.json": {"a": "b"}}),
        ("application_mail_url", "smtp.example.org"),
        ("application_mail_url", "smtps://smtp.example.org"),
        ("application_mail_url", "smtp://shop:secret@smtp.example.org"),
        ("application_mail_url", "smtp+tls://smtp.example.org:mail"),
        ("application_python", "3"),
        ("application_python", 3.2),
        ("application_python", "python3.14"),
        ("application_python_mirror", "mirror.example.org"),
        ("application_health_path", "health"),
        ("application_media_folder", "/srv/media"),
        ("application_persistent_paths", ["../db.sqlite3"]),
        ("application_packages", ["libpq-dev python3-dev"]),
        ("application_packages", ["--reinstall"]),
        ("application_python_packages", ["gunicorn 23"]),
        ("application_python_packages", ["-r other.txt"]),
        ("application_python_packages", ["../shop"]),
        ("application_requirements_file", "setup.py"),
        ("application_requirements_file", "/srv/uv.lock"),
        ("application_requirements_file", "locks/../uv.lock"),
        ("application_settings", {"debug": False}),
        ("application_processes", [process("Worker")]),
        ("application_processes", [process("mail-worker")]),
        ("application_processes", [process("release")]),
        ("application_processes", [process("worker", kind="cron")]),
        ("application_processes", [process("site", kind="web")]),
        ("application_processes", [process("web")]),
        ("application_processes", [process("web", kind="web", count=2)]),
        ("application_processes", [process("one", kind="beat"), process("two", kind="beat")]),
        ("application_processes", [process("mail"), process("mail")]),
        ("application_processes", [process("mail", command=" ")]),
        ("application_processes", [process("mail", count=0)]),
        ("application_processes", [process("mail", schedule="daily")]),
        ("application_processes", [process("mail", kind="timer")]),
        ("application_processes", [process("mail", kind="timer", schedule="daily", count=2)]),
        ("shop_http_port", 70000),
        ("shop_http_port", 0),
        ("shop_http_port", True),
        ("shop_http_port", "https"),
        ("shop_http_port", None),
        ("shop_name", ""),
        ("shop_name", False),
        ("shop_name", ["shop"]),
        ("shop_domain", ""),
        ("shop_domain", "shop_example.org"),
        ("shop_domain", "shop.example.org\n"),
        ("shop_frontend_origins", "https://app.example.org"),
        ("shop_frontend_origins", [None]),
        ("shop_frontend_origins", ["https://app.example.org", "ftp://app.example.org"]),
        ("shop_other_domains", ["https://app.example.org"]),
        ("shop_other_domains", ["*example.org"]),
        ("certificates_names", []),
        ("certificates_names", ["https://shop.example"]),
        ("certificates_names", ["www.*.example"]),
        ("certificates_acme_server", "http://ca.internal/directory"),
        ("certificates_acme_server", "letsencrypt"),
        ("shop_frontends", [{"domain": "https://app.example.org", "path": "/srv/app"}]),
        ("shop_frontends", [{"domain": "app.example.org", "path": "dist"}]),
        ("shop_frontends", [{"domain": "app.example.org"}]),
        ("shop_frontends", ["domain=app.example.org path=/srv/app"]),
        ("shop_listen_addresses", ["db.example.org"]),
        ("shop_listen_addresses", ["*"]),
        ("shop_client_networks", ["10.0.0.5"]),
        ("shop_client_networks", ["10.0.0.5/24"]),
        ("shop_client_networks", ["web.example.org"]),
        ("shop_client_networks", ["10.0.0.0/255.255.255.0"]),
        ("shop_private_ports", [5432]),
        ("shop_private_ports", [{"port": 5432}]),
        ("shop_private_ports", [{"port": 70000, "networks": ["10.0.0.0/24"]}]),
        ("shop_private_ports", [{"port": 5432, "networks": ["10.0.0.5"]}]),
        ("shop_private_ports", [{"port": 5432, "networks": "10.0.0.0/24"}]),
        ("shop_timeout_seconds", 0),
        ("shop_timeout_seconds", -5),
        ("shop_timeout_seconds", 1.5),
        ("shop_memory_mb", -1),
        ("shop_share_percent", 101),
        ("shop_data_path", "srv/shop"),
        ("shop_contact_email", "somebody"),
        ("shop_debug_enabled", "perhaps"),
        ("shop_source", "magic"),
        ("shop_people", {"name": "Ada"}),
        ("shop_people", ["Ada"]),
        ("shop_people", [{"age": 36}]),
        ("shop_people", [{"name": "Ada", "age": "old"}]),
        ("shop_people", [{"name": "Ada", "nmae": "Ada"}]),
        ("shop_api_key", "s3cret"),
    ],
)
def test_a_wrong_value_becomes_one_sentence_with_a_right_example(name: str, value: Any) -> None:
    sentence = sentences.describe_value(name, (OPTIONS | NAMED)[name], value, lambda: "group_vars/all/shop.yml:3")
    assert sentence
    assert sentence.startswith(f"{name} is ")
    assert ", in group_vars/all/shop.yml:3: " in sentence
    assert "<class" not in sentence
    assert "\n" not in sentence
    # Nothing is known of this secret but that it is one.
    if name != "shop_api_key":
        example = yaml.safe_load(sentence.split("Write for example `")[1].rstrip("`."))
        assert broken_rule(name, (OPTIONS | NAMED)[name], example[name]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_name", "shop-2"),
        ("certificates_names", ["shop.example", "*.shop.example"]),
        ("certificates_acme_server", "https://acme-v02.api.letsencrypt.org/directory"),
        ("certificates_acme_server", "https://ca.internal:9000/acme/acme/directory"),
        ("application_environment", {"EMAIL_HOST": "smtp.example.org", "EMAIL_PORT": 587}),
        ("application_broker_url", ""),
        ("application_broker_url", "rediss://redis.example.org/3"),
        ("application_broker_url", "amqp://"),
        ("application_broker_url", "sentinel://one.example:26379;sentinel://two.example:26379"),
        ("application_broker_url", "redis+socket:///run/redis/redis.sock"),
        ("application_broker_url", "sqla+postgresql://shop:PASSWORD@db.example/shop"),
        ("application_broker_url", "sqs://KEY:s3/cret@"),
        ("application_build_commands", ["npm ci && npm run build"]),
        ("application_cache_url", ""),
        ("application_cache_url", "rediss://:PASSWORD@redis.example.org/3"),
        ("base_reboot_time", ""),
        ("base_reboot_time", "23:59"),
        ("cache_memory_mb", 16),
        ("application_files", {".env": "A=b", "config/local_settings.py": "A = 'b'"}),
        ("application_mail_url", ""),
        ("application_mail_url", "smtp://127.0.0.1"),
        ("application_mail_url", "smtp+ssl://shop:PASSWORD@smtp.example.org"),
        ("application_python", ""),
        ("application_python", 3.14),
        ("application_python", "3.13.2"),
        ("application_python", "/opt/python/bin/python3"),
        ("application_python_mirror", "file:///srv/mirror"),
        ("application_health_path", ""),
        ("application_media_folder", "shop/media"),
        ("application_persistent_paths", ["db.sqlite3", "var/uploads/"]),
        ("application_packages", ["libstdc++6", "libpq-dev=15.6-0+deb12u1", "libc6:amd64"]),
        ("application_python_packages", ["gunicorn", "uvicorn[standard] >=0.30, <1", "psycopg[c,pool]==3.2.*"]),
        ("application_python_packages", ["shop @ git+https://git.example/shop.git"]),
        ("application_requirements_file", "requirements/production.txt"),
        ("application_requirements_file", "poetry.lock"),
        ("application_settings", {"ALLOWED_HOSTS": ["shop.example.org"]}),
        (
            "application_processes",
            [
                *(process("web", kind="web"), process("mail", count=3), process("clock", kind="beat")),
                process("nightly", kind="timer", schedule="*-*-* 03:00"),
            ],
        ),
        ("shop_http_port", 8443),
        ("shop_http_port", "8443"),
        ("shop_domain", "localhost"),
        ("shop_domain", "xn--bcher-kva.example"),
        ("shop_frontend_origins", []),
        ("shop_frontend_origins", ["https://app.example.org", "https://app.example.org:8443"]),
        ("shop_other_domains", ["www.example.org", "*.example.org"]),
        ("shop_listen_addresses", ["10.0.0.5", "fd00::5"]),
        ("shop_client_networks", ["10.0.0.0/24", "10.0.1.5/32", "fd00::/64"]),
        ("shop_private_ports", [{"port": 5432, "networks": ["10.0.0.0/24"]}]),
        ("shop_memory_mb", 0),
        ("shop_share_percent", 100),
        ("shop_data_path", "/srv/shop"),
        ("shop_contact_email", ""),
        ("shop_contact_email", "ops@shop.localhost"),
        ("shop_debug_enabled", "false"),
        ("shop_people", [{"name": "Ada", "age": 36}]),
    ],
)
def test_a_right_value_passes(name: str, value: Any) -> None:
    assert broken_rule(name, (OPTIONS | NAMED)[name], value) is None


# The application judges the same values by rules of its own, since it knows nothing of Ansible.
EXAMPLES = json.loads((ROOT / "app/config/tests/values.json").read_text())
RULES = {"origin": network.is_origin, "broker_url": network.is_own_broker, "domain": network.is_domain}


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        (kind, value, sort == "good")
        for kind, sorts in EXAMPLES.items()
        for sort, values in sorts.items()
        for value in values
    ],
)
def test_the_application_and_the_check_judge_alike(kind: str, value: str, good: bool) -> None:
    assert RULES[kind](value) == good


def test_every_project_may_have_the_brokers_of_ours() -> None:
    assert all(map(network.is_broker, EXAMPLES["broker_url"]["good"]))


@pytest.mark.parametrize("url", ["amqp://", "sqs://", "sentinel://one.example", "redis+socket:///run/redis.sock"])
def test_a_broker_that_our_application_cannot_use_is_told_before_it_is_built(url: str) -> None:
    def told(**given: object) -> list[str]:
        valid = {"application_broker_url": url}
        return list(sentences.describe_own_broker(given, valid, lambda: "application.yml:1"))

    assert told(application_processes=[]) == []
    (sentence,) = told()
    assert sentence.startswith(
        "application_broker_url is hidden, in application.yml:1: Slipway's own application needs"
    )
    assert sentence.endswith('Write for example `application_broker_url: "amqp://shop:PASSWORD@127.0.0.1:5672/shop"`.')


def test_a_secret_is_named_but_never_shown() -> None:
    sentence = sentences.describe_value("shop_api_key", OPTIONS["shop_api_key"], "s3cret", lambda: "vault.yml:1")
    assert sentence
    assert "hidden" in sentence
    assert "s3cret" not in sentence
    assert "only-this-key" not in sentence


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop_htp_port", "Did you mean shop_http_port?"),
        ("shopp_http_port", "Did you mean shop_http_port?"),
        ("shop_something_else", "is not known"),
        ("shop_http_port", None),
        ("vault_shop_api_key", None),
        ("garden_http_port", None),
    ],
)
def test_an_unknown_name_is_reported_when_a_role_should_know_it(name: str, expected: str | None) -> None:
    sentence = sentences.describe_unknown(name, OPTIONS, ["project", "shop"], lambda: "shop.yml:1")
    assert expected in (sentence or "") if expected else sentence is None


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, ["application_broker_url is missing"]),
        ({"application_broker_url": ""}, ["application_broker_url is missing"]),
        ({"group_names": ["web", "cache"]}, ["application_cache_url is missing"]),
        # What is wrong has its own sentence.
        ({"application_broker_url": "kafka://broker/1"}, []),
    ],
)
def test_a_service_of_the_inventory_that_its_project_cannot_reach_is_told(
    values: dict[str, str], missing: list[str]
) -> None:
    given = {"group_names": ["web", "broker"], "application_processes": "gunicorn", **values}
    valid = {name: value for name, value in values.items() if not value}
    told = sentences.describe_unused(given, valid, Path("inventories/test"))
    assert [" ".join(sentence.split()[:3]) for sentence in told] == missing
