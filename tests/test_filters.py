"""The collection's filters: what they make, and that Ansible can show how each is called."""

import base64
import hashlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.host.plugins.filter import pythons, rabbitmq, units, urls
from repository import ROOT

PASSWORDS = ["plain", "a/b", "a@b", "100%", "a%2Fb", "a:b", "a?b#c", "a b+c&d=e", "[a]", "ä€", "'\"\\$"]
AUTHORITY = "/etc/ssl/shop/internal/authority.pem"
every_password = pytest.mark.parametrize("password", PASSWORDS)


def test_a_database_of_this_host_is_reached_through_its_socket() -> None:
    assert urls.postgres_url("secret", "shop") == "postgres://shop:secret@/shop?host=/run/postgresql"


def test_a_database_of_another_host_has_to_prove_its_name() -> None:
    url = urls.postgres_url("secret", "shop", host="10.0.0.5", ca=AUTHORITY)
    assert url == f"postgres://shop:secret@10.0.0.5:5432/shop?sslmode=verify-full&sslrootcert={AUTHORITY}"


@pytest.mark.parametrize("given", [{"host": "10.0.0.5"}, {"ca": AUTHORITY}])
def test_another_host_without_its_authority_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"postgres_url takes host and ca together: .* Write postgres_url\(pro"
    ):
        urls.postgres_url("secret", "shop", **given)
    with pytest.raises(AnsibleFilterError, match=r"redis_url takes host and ca together: .* Write redis_url\(host="):
        urls.redis_url("secret", given.get("host", ""), given.get("ca", ""))


def test_a_cache_of_another_host_has_to_prove_its_name() -> None:
    assert urls.redis_url("se/cret") == "redis://:se%2Fcret@127.0.0.1:6380"
    assert urls.redis_url("secret", port=6381) == "redis://:secret@127.0.0.1:6381"
    url = urls.redis_url("secret", host="10.0.0.5", ca=AUTHORITY)
    assert url == f"rediss://:secret@10.0.0.5:6380/0?ssl_cert_reqs=required&ssl_ca_certs={AUTHORITY}"


def test_a_broker_of_another_host_is_reached_over_tls() -> None:
    assert urls.amqp_url("secret", "shop") == "amqp://shop:secret@127.0.0.1:5672/shop"
    assert urls.amqp_url("secret", "shop", host="10.0.0.5") == "amqps://shop:secret@10.0.0.5:5671/shop"


def test_a_mail_relay_is_what_django_calls_it() -> None:
    found = urls.mail_settings("smtp+tls://ada%40b.org:se%2Fcret@smtp.example")
    assert found == {
        **{"EMAIL_HOST": "smtp.example", "EMAIL_PORT": 587, "EMAIL_USE_TLS": True, "EMAIL_USE_SSL": False},
        **{"EMAIL_HOST_USER": "ada@b.org", "EMAIL_HOST_PASSWORD": "se/cret"},
    }
    assert urls.mail_settings("smtp+ssl://smtp.example:2465")["EMAIL_PORT"] == 2465
    assert urls.mail_settings("") == {}


@every_password
def test_a_password_with_special_characters_arrives_as_it_is(password: str) -> None:
    for url in (
        urls.postgres_url(password, "my-shop"),
        urls.postgres_url(password, "my-shop", host="db.example", ca=AUTHORITY),
        urls.amqp_url(password, "my-shop"),
        urls.amqp_url(password, "my-shop", host="mq.example"),
    ):
        parts = urlsplit(url)
        assert (parts.username, unquote(parts.password or ""), parts.path) == ("my-shop", password, "/my-shop")
        assert parts.fragment == ""


def test_a_password_of_digits_may_be_a_number() -> None:
    assert urls.amqp_url(12345, "shop") == urls.amqp_url("12345", "shop")


def test_an_ipv6_address_keeps_its_port_apart() -> None:
    database = urlsplit(urls.postgres_url("secret", "shop", host="2001:db8::1", ca="/etc/a b.pem"))
    assert (database.hostname, database.port) == ("2001:db8::1", 5432)
    assert parse_qs(database.query) == {"sslmode": ["verify-full"], "sslrootcert": ["/etc/a b.pem"]}
    broker = urlsplit(urls.amqp_url("secret", "shop", host="2001:db8::1"))
    assert (broker.hostname, broker.port) == ("2001:db8::1", 5671)


def test_a_process_that_runs_several_times_has_numbered_units() -> None:
    mail = {"name": "mail", "command": "celery", "count": 3}
    names = [unit["name"] for unit in units.application_units([{"name": "web"}, mail])]
    assert names == ["web", "mail", "mail-2", "mail-3"]
    assert units.application_units([mail])[2] == {**mail, "name": "mail-3"}


@pytest.mark.parametrize(
    ("command", "word"),
    [("run $NAME", '"run $$NAME"'), ("run %h", '"run %%h"'), ('run "a b"', r'"run \"a b\""'), (r"a\n", r'"a\\n"')],
)
def test_systemd_expands_nothing_of_a_command(command: str, word: str) -> None:
    assert units.systemd_command(command) == word


def test_a_password_has_the_hash_that_rabbitmq_makes() -> None:
    """Salt and SHA-256 of salt and password, as its guide on passwords says; another user has another salt."""
    made = rabbitmq.rabbitmq_password_hash("secret", "shop")
    salt, digest = base64.b64decode(made)[:4], base64.b64decode(made)[4:]
    assert digest == hashlib.sha256(salt + b"secret").digest()
    assert made == rabbitmq.rabbitmq_password_hash("secret", "shop")
    assert made[:5] != rabbitmq.rabbitmq_password_hash("secret", "other")[:5]


def test_ansible_shows_how_each_filter_is_called() -> None:
    found = [module.FilterModule().filters() for module in (pythons, rabbitmq, units, urls)]
    functions = {f"slipway.host.{name}": function for each in found for name, function in each.items()}
    command = [str(Path(sys.executable).with_name("ansible-doc")), "--type=filter", "--json", *functions]
    shown = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    for name, function in functions.items():
        _, *parameters = inspect.signature(function).parameters
        assert set(shown[name]["doc"]["options"]) == {"_input", *parameters}
        assert shown[name]["doc"].get("positional") == next(iter(parameters), None)
