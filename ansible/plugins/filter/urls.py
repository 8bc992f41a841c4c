"""The URLs under which an application reaches its database, its broker, its cache and its mail relay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.host.plugins.module_utils.inventory.network import MAIL_PORTS


def postgres_url(password: str | int, name: str, host: str = "", ca: str = "") -> str:
    """The database `name`, whose owner has the same name: on this host's socket, or over TLS on `host`."""
    require_both("postgres_url(project_name, ", host, ca)
    if not host:
        # The host as a parameter: not every parser decodes it in front of the path.
        return f"postgres://{login(name, password)}@/{name}?host=/run/postgresql"
    query = urlencode({"sslmode": "verify-full", "sslrootcert": ca}, safe="/")
    return f"postgres://{login(name, password)}@{bracketed(host)}:5432/{name}?{query}"


def amqp_url(password: str | int, name: str, host: str = "") -> str:
    """The virtual host `name`, whose user has the same name: on this host, or over TLS on `host`."""
    if not host:
        return f"amqp://{login(name, password)}@127.0.0.1:5672/{name}"
    return f"amqps://{login(name, password)}@{bracketed(host)}:5671/{name}"


def redis_url(password: str | int, host: str = "", ca: str = "", port: int = 6380) -> str:
    """The cache: on this host, or over TLS on `host`."""
    require_both("redis_url(", host, ca)
    user = login("", password)
    if not host:
        # Without a number, so that settings may add one.
        return f"redis://{user}@127.0.0.1:{port}"
    query = urlencode({"ssl_cert_reqs": "required", "ssl_ca_certs": ca}, safe="/")
    return f"rediss://{user}@{bracketed(host)}:{port}/0?{query}"


def mail_settings(url: str) -> dict[str, Any]:
    """Django's settings for a mail relay; none where there is none."""
    if not url:
        return {}
    parts = urlsplit(url)
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or MAIL_PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtp+ssl",
    }


def require_both(call: str, host: str, ca: str) -> None:
    """Refuse a host that need not prove its name."""
    if bool(host) != bool(ca):
        raise AnsibleFilterError(
            f"{call.partition('(')[0]} takes host and ca together: a service on another host has to prove its name. "
            f"Write {call}host='10.0.0.5', ca='/etc/ssl/authority.pem'), or neither for this host"
        )


def login(name: str, password: str | int) -> str:
    # YAML takes a password of digits for a number.
    return f"{name}:{quote(str(password), safe='')}"


def bracketed(host: str) -> str:
    """An IPv6 address needs brackets, or its end would be a port."""
    return f"[{host}]" if ":" in host else host


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "postgres_url": postgres_url,
            "amqp_url": amqp_url,
            "redis_url": redis_url,
            "mail_settings": mail_settings,
        }
