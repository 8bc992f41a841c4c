"""The URLs under which an application reaches its database and its broker."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from ansible.errors import AnsibleFilterError


def postgres_url(password: str | int, name: str, host: str = "", ca: str = "") -> str:
    """The database `name`, whose owner has the same name: on this host's socket, or over TLS on `host`."""
    if bool(host) != bool(ca):
        raise AnsibleFilterError(
            "postgres_url takes host and ca together: a database on another host has to prove its name. "
            "Write postgres_url(project_name, host='10.0.0.5', ca='/etc/ssl/authority.pem'), or neither for this host"
        )
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


def login(name: str, password: str | int) -> str:
    # YAML takes a password of digits for a number.
    return f"{name}:{quote(str(password), safe='')}"


def bracketed(host: str) -> str:
    """An IPv6 address needs brackets, or its end would be a port."""
    return f"[{host}]" if ":" in host else host


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"postgres_url": postgres_url, "amqp_url": amqp_url}
