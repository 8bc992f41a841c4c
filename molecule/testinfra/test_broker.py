import json
from typing import Any

import inventory
import pytest
from testinfra.host import Host

pytestmark = [pytest.mark.slipway, pytest.mark.group("broker"), pytest.mark.units("rabbitmq-server")]
apart = pytest.mark.without("web", "worker", "beat")

# Runs with the settings of the release, on its host; prints how the broker's certificate pleased the client.
CONNECT = """
import ssl
from celery import current_app
from django.conf import settings
try:
    change = {change}
    current_app.connection_for_write(ssl={{**settings.CELERY_BROKER_USE_SSL, **change}}).connect()
    print("connected")
except ssl.SSLError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def definitions(host: Host) -> dict[str, Any]:
    """What the broker itself says of users, permissions and queues; without the hashes of passwords."""
    everything: dict[str, Any] = json.loads(host.check_output("rabbitmqctl --quiet export_definitions -"))
    for user in everything["users"]:
        del user["password_hash"]
    return everything


@pytest.fixture(scope="module")
def logins(host: Host) -> dict[str, bool]:
    """Which user and password the broker accepts."""
    pairs = {"slipway": "wrong", "guest": "guest"}
    commands = [
        f"(rabbitmqctl --quiet authenticate_user {user} {word}; echo {user} $?) &" for user, word in pairs.items()
    ]
    lines = host.run(" ".join(commands) + " wait").stdout.splitlines()
    codes = dict(line.split() for line in lines if line.split()[0] in pairs)
    return {user: codes[user] == "0" for user in pairs}


@pytest.fixture(scope="module")
def listeners(host: Host) -> dict[str, set[str]]:
    """Where the broker's programs listen, by port."""
    lines = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    places = [line.split()[3].rsplit(":", 1) for line in lines]
    return {port: {place for place, other in places if other == port} for _, port in places}


@pytest.mark.parametrize("port", ["5672", "25672", "4369"])
def test_the_broker_listens_on_loopback_only(listeners: dict[str, set[str]], port: str) -> None:
    assert listeners[port] == {"127.0.0.1"}


@pytest.mark.parametrize("port", ["15672", "15692", "1883", "61613"])
def test_the_broker_listens_on_no_further_port(listeners: dict[str, set[str]], port: str) -> None:
    assert port not in listeners


def test_the_broker_speaks_tls_on_no_address_that_is_not_named(host: Host, listeners: dict[str, set[str]]) -> None:
    """On none at all where the application is on the same host."""
    assert listeners.get("5671", set()) == set(inventory.variables(host).get("broker_listen_addresses", []))


@apart
@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "connected"),
        ({"ca_certs": "/etc/ssl/certs/ca-certificates.crt"}, "unable to get local issuer certificate"),
        ({"server_hostname": "another.test"}, "Hostname mismatch"),
    ],
)
def test_the_application_accepts_no_other_broker_than_ours(client: Host, change: dict[str, str], outcome: str) -> None:
    """Neither with a certificate of another authority nor with one for another name."""
    assert outcome in client.check_output("slipway-manage shell -c %s", CONNECT.format(change=change))


def test_there_is_one_user_and_it_is_no_administrator(definitions: dict[str, Any]) -> None:
    assert [(user["name"], user["tags"]) for user in definitions["users"]] == [("slipway", [])]


def test_the_user_is_confined_to_its_virtual_host(definitions: dict[str, Any]) -> None:
    assert [(entry["user"], entry["vhost"]) for entry in definitions["permissions"]] == [("slipway", "slipway")]


@pytest.mark.parametrize("user", ["slipway", "guest"])
def test_a_guessed_password_is_refused(logins: dict[str, bool], user: str) -> None:
    assert not logins[user]


def test_tasks_wait_in_a_quorum_queue(definitions: dict[str, Any]) -> None:
    """The kind that loses nothing in a power cut."""
    kinds = {queue["name"]: queue["arguments"].get("x-queue-type") for queue in definitions["queues"]}
    assert kinds["default"] == "quorum"


def test_only_root_reads_the_hash_of_the_password(host: Host) -> None:
    file = host.file("/etc/rabbitmq/definitions/slipway.json")
    assert (file.user, file.mode) == ("root", 0o600)


@pytest.mark.parametrize("unit", ["rabbitmq-server.service", "epmd.socket"])
def test_the_broker_returns_after_a_boot(host: Host, unit: str) -> None:
    assert host.check_output(f"systemctl is-enabled {unit}") == "enabled"
    assert host.check_output(f"systemctl is-active {unit}") == "active"
