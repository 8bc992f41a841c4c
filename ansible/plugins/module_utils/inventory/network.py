"""What names, addresses and URLs must be."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.slipway.host.plugins.module_utils.inventory.rules import PLAIN_PATH, PORT, Rule

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
# A front end may have underscores in its name, which is often not the operator's to choose, or an address of IPv6.
SITE = rf"(?![a-z0-9_.-]{{254}})([a-z0-9_]([a-z0-9_-]{{0,61}}[a-z0-9])?\.)*{LABEL}|\[[0-9a-f:]+\]"
ORIGIN = re.compile(rf"(?P<scheme>https?)://(?P<host>{SITE})(:(?P<port>[1-9][0-9]{{0,4}}))?")
EMAIL = re.compile(rf"[^@\s]+@{LABEL}(\.{LABEL})*")
# The transports of Celery 5.7, and those of them whose URL has a host and a port.
OWN_BROKERS = ("amqp", "amqps", "redis", "rediss")
BROKERS_WITH_PORT = (*OWN_BROKERS, "librabbitmq", "pyamqp", "sentinel")
BROKERS = (
    *BROKERS_WITH_PORT,
    *("azureservicebus", "azurestoragequeues", "confluentkafka", "consul", "etcd", "filesystem", "gcpubsub", "kafka"),
    *("memory", "mongodb", "pgmq", "pyro", "qpid", "slmq", "sqla", "sqlalchemy", "sqs", "zookeeper"),
)
# How mail is sent to a relay, with the port that it usually has.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
DATABASES = (
    *("postgres", "postgresql", "pgsql", "psql", "postgis", "timescale", "timescalegis", "cockroach", "redshift"),
    *("mysql", "mysql2", "mysql-connector", "mysqlgis", "mssql", "mssqlms", "oracle", "oraclegis"),
    *("sqlite", "spatialite"),
)


def is_domain(value: object) -> bool:
    return isinstance(value, str) and bool(HOST_NAME.fullmatch(value))


def is_address(value: object) -> bool:
    with contextlib.suppress(ValueError):
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    return False


def is_host(value: str) -> bool:
    """A host name or an address. What ends in a number is no name, but an address with a mistake in it."""
    return is_address(value) or (is_domain(value) and not re.search(r"(^|\.)\d+$", value))


def is_network(value: object) -> bool:
    """Also a single address has its prefix: PostgreSQL takes it for a host name without."""
    with contextlib.suppress(ValueError):
        return isinstance(value, str) and bool(re.search(r"/\d+$", value)) and bool(ipaddress.ip_network(value))
    return False


def is_network_of_proxies(value: object) -> bool:
    """Not everybody: whoever counts as a proxy may claim to be anyone."""
    return is_network(value) and ipaddress.ip_network(str(value)).prefixlen > 0


def is_email(value: object) -> bool:
    return isinstance(value, str) and (value == "" or bool(EMAIL.fullmatch(value)))


def is_origin(value: object) -> bool:
    parts = isinstance(value, str) and ORIGIN.fullmatch(value)
    if not parts or int(parts["port"] or 1) > 65535 or not is_site(parts["host"]):
        return False
    if (parts["scheme"], parts["port"]) in (("https", "443"), ("http", "80")):
        return False
    local = parts["host"] in ("localhost", "127.0.0.1", "[::1]") or parts["host"].endswith(".localhost")
    return parts["scheme"] == "https" or local


def is_site(host: str) -> bool:
    """What is in brackets must be an IPv6 address, as browsers write it: [::1]."""
    with contextlib.suppress(ValueError):
        return not host.startswith("[") or host == f"[{ipaddress.IPv6Address(host.strip('[]'))}]"
    return False


def is_broker(value: str) -> bool:
    """What some project could use: Celery knows the transport, and takes a semicolon for the begin of a second URL."""
    with contextlib.suppress(ValueError):
        return value == "" or all(map(is_broker_url, value.split(";")))
    return False


def is_broker_url(value: str) -> bool:
    url = urlsplit(value)
    # The transport may be followed by how it is reached, as in redis+socket://.
    scheme = url.scheme.partition("+")[0]
    # A port that is no number shows only when it is read; keys of a cloud have any character.
    return "://" in value and scheme in BROKERS and (scheme not in BROKERS_WITH_PORT or url.port != 0)


def is_own_broker(value: str) -> bool:
    """What Slipway's own application could use: app/config/env.py refuses the rest, but only once it is built."""
    if not is_broker(value):
        return False
    urls = [urlsplit(url) for url in value.split(";")]
    return all(url.scheme in OWN_BROKERS and url.hostname for url in urls)


def is_cache(value: str) -> bool:
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        return value == "" or (url.scheme in ("redis", "rediss") and bool(url.hostname) and url.port != 0)
    return False


def is_mail(value: str) -> bool:
    """A relay; a password goes to another host over TLS only."""
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        known = url.scheme in MAIL_PORTS and bool(url.hostname) and url.port != 0 and url.path in ("", "/")
        hidden = url.scheme != "smtp" or not url.password or url.hostname in ("localhost", "127.0.0.1", "::1")
        return value == "" or (known and hidden and bool(url.username) == bool(url.password))
    return False


def is_database(value: str) -> bool:
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        # A port that is no number shows only when it is read.
        return url.scheme in DATABASES and url.port != 0
    return False


def are_frontends(value: Sequence[Mapping[str, str]]) -> bool:
    return all(is_domain(each["domain"]) and each["path"].startswith("/") for each in value)


def are_networks(rule: Mapping[str, Any]) -> bool:
    return bool(rule["networks"]) and all(map(is_network, rule["networks"]))


def are_private_ports(value: Sequence[Mapping[str, Any]]) -> bool:
    return all(PORT.accepts(rule["port"]) and all(map(is_network, rule["networks"])) for rule in value)


DOMAIN = Rule(is_domain, "it must be a host name in lower case, without scheme or port", "api.example.org")
DOMAINS = Rule(
    lambda value: all(map(is_domain, value)),
    "each must be a host name in lower case, without scheme or port",
    ["app.example.org"],
)
NAMES = Rule(
    lambda value: all(isinstance(each, str) and is_domain(each.removeprefix("*.")) for each in value),
    'each must be a host name in lower case, without scheme or port, or "*." and the domain whose names are meant',
    ["www.example.org", "*.example.org"],
)
CERTIFICATE_NAMES = Rule(lambda value: bool(value) and NAMES.accepts(value), NAMES.words, NAMES.example)
SERVER = Rule(
    lambda value: bool(re.fullmatch(rf"https://({SITE})(:[1-9][0-9]{{0,4}})?/\S*", value)),
    "it must be the address of the server's directory, which begins with https://",
    "https://acme-v02.api.letsencrypt.org/directory",
)
HOST = Rule(is_host, "it must be a host name or an IP address", "203.0.113.7")
ADDRESSES = Rule(
    lambda value: all(map(is_address, value)),
    "each must be an IP address of the host, or 0.0.0.0 for all that it has",
    ["10.0.0.5"],
)
NETWORKS = Rule(
    lambda value: all(map(is_network, value)),
    "each must be a network in CIDR notation whose address is its first, or an address followed by /32",
    ["10.0.0.0/24", "10.0.1.5/32"],
)
PROXIES = Rule(
    lambda value: all(map(is_network_of_proxies, value)),
    f"{NETWORKS.words}, and none may hold everybody, who could then claim any address",
    ["10.0.0.0/24", "10.0.1.5/32"],
)
PRIVATE_PATHS = Rule(
    lambda value: all(PLAIN_PATH.accepts(each["path"]) and each["path"] and are_networks(each) for each in value),
    "each path must begin with a slash, and have at least one network in CIDR notation",
    [{"path": "/admin/", "networks": ["10.8.0.0/24"]}],
)
PRIVATE_PORTS = Rule(
    are_private_ports,
    "each port is a whole number from 1 to 65535, and each network is in CIDR notation",
    [{"port": 5432, "networks": ["10.0.0.0/24"]}],
)
EMAIL_ADDRESS = Rule(is_email, "it must be an address", "ops@example.org")
ORIGINS = Rule(
    lambda value: all(map(is_origin, value)),
    "each origin must be scheme://host[:port] as a browser sends it: lower case, no path, no wildcard, no port "
    "that the scheme implies, and https unless the host is localhost",
    ["https://app.example.org"],
)
FRONTENDS = Rule(
    are_frontends,
    "each domain must be a host name, and each path an absolute one on this machine",
    [{"domain": "app.example.org", "path": "/srv/example/dist"}],
)
BROKER = Rule(
    is_broker,
    "it must be the URL of a broker that Celery knows, and its port must be one",
    "amqp://shop:PASSWORD@127.0.0.1:5672/shop",
)
OWN_BROKER = Rule(
    is_own_broker,
    f"Slipway's own application needs {', '.join(f'{name}://' for name in OWN_BROKERS[:-1])} or {OWN_BROKERS[-1]}://, "
    "and the host of the broker",
    BROKER.example,
)
CACHE = Rule(
    is_cache,
    "it must be the URL of a Redis or Valkey, redis:// or rediss:// with TLS, and its port must be one",
    "redis://:PASSWORD@127.0.0.1:6380/0",
)
MAIL = Rule(
    is_mail,
    "it must be the URL of a relay: smtp+tls:// with STARTTLS, smtp+ssl:// with TLS from the beginning, or smtp:// for "
    "one that takes no password",
    "smtp+tls://shop:PASSWORD@smtp.example.org:587",
)
DATABASE = Rule(
    is_database,
    "it must be the URL of a database that Django knows, and its port must be one",
    "postgres://shop:PASSWORD@db.example/shop",
)
