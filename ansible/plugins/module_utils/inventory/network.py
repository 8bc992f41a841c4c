"""What names, addresses and URLs must be."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.slipway.host.plugins.module_utils.inventory.rules import PORT, Rule

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
ORIGIN = re.compile(rf"(?P<scheme>https?)://(?P<host>{LABEL}(\.{LABEL})*)(:(?P<port>[1-9][0-9]{{0,4}}))?")
EMAIL = re.compile(rf"[^@\s]+@{LABEL}(\.{LABEL})*")
BROKERS = ("amqp", "amqps", "redis", "rediss", "redis+socket", "sentinel", "sqs")
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
        return isinstance(value, str) and "/" in value and bool(ipaddress.ip_network(value))
    return False


def is_email(value: object) -> bool:
    return isinstance(value, str) and (value == "" or bool(EMAIL.fullmatch(value)))


def is_origin(value: object) -> bool:
    parts = isinstance(value, str) and ORIGIN.fullmatch(value)
    if not parts or int(parts["port"] or 1) > 65535:
        return False
    if (parts["scheme"], parts["port"]) in (("https", "443"), ("http", "80")):
        return False
    local = parts["host"] in ("localhost", "127.0.0.1") or parts["host"].endswith(".localhost")
    return parts["scheme"] == "https" or local


def is_broker(value: str) -> bool:
    with contextlib.suppress(ValueError):
        urls = [urlsplit(url) for url in re.split(r";(?=sentinel://)", value)]
        # A port that is no number shows only when it is read; SQS has none, and keys with any character.
        return value == "" or all(url.scheme in BROKERS and (url.scheme == "sqs" or url.port != 0) for url in urls)
    return False


def is_database(value: str) -> bool:
    with contextlib.suppress(ValueError):
        url = urlsplit(value)
        # A port that is no number shows only when it is read.
        return url.scheme in DATABASES and url.port != 0
    return False


def are_frontends(value: Sequence[Mapping[str, str]]) -> bool:
    return all(is_domain(each["domain"]) and each["path"].startswith("/") for each in value)


def are_private_ports(value: Sequence[Mapping[str, Any]]) -> bool:
    return all(PORT.accepts(rule["port"]) and all(map(is_network, rule["networks"])) for rule in value)


DOMAIN = Rule(is_domain, "it must be a host name in lower case, without scheme or port", "api.example.org")
DOMAINS = Rule(
    lambda value: all(map(is_domain, value)),
    "each must be a host name in lower case, without scheme or port",
    ["app.example.org"],
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
    f"it must begin with one of {', '.join(f'{name}://' for name in BROKERS)}, and its port must be one",
    "amqp://shop:PASSWORD@127.0.0.1:5672/shop",
)
DATABASE = Rule(
    is_database,
    "it must be the URL of a database that Django knows, and its port must be one",
    "postgres://shop:PASSWORD@db.example/shop",
)
