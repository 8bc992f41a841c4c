"""Read the environment. A value that is missing or wrong stops the start with one sentence."""

import os
import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import environ

_HOST = r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?|\[[0-9a-f:]+\]"
_ORIGIN = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?")
_ALLOWED_HOST = re.compile(rf"\.?(?:{_HOST})")
_LOCAL = "(On your own machine, DJANGO_SETTINGS_MODULE=config.django.local needs none.)"
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def stop(name: str, problem: str) -> NoReturn:
    """End the process. SystemExit, because every entry point prints it without a trace."""
    raise SystemExit(f"Configuration: {name} {problem}")


def _read(name: str, default: object = "") -> str:
    return os.environ.get(name, str(default)).strip()


def text(name: str, *, hint: str) -> str:
    value = _read(name)
    if not value:
        stop(name, f"is not set. {hint} {_LOCAL}")
    return value


def optional(name: str, *, default: str = "") -> str:
    return _read(name) or default


def boolean(name: str, *, default: bool) -> bool:
    value = _read(name, default).lower()
    if value not in _TRUE + _FALSE:
        stop(name, "must be true or false.")
    return value in _TRUE


def integer(
    name: str, *, default: int | None = None, minimum: int = 0, maximum: int = 2**31 - 1
) -> int:
    value = _read(name, "" if default is None else default)
    if not re.fullmatch(r"[0-9]{1,10}", value) or not minimum <= int(value) <= maximum:
        stop(name, f"must be a whole number from {minimum} to {maximum}.")
    return int(value)


def choice(name: str, *, default: str, choices: Sequence[str]) -> str:
    value = _read(name, default)
    for allowed in choices:
        if value.lower() == allowed.lower():
            return allowed
    stop(name, f"must be one of {', '.join(choices)}.")


def words(name: str) -> list[str]:
    return [word.strip() for word in _read(name).split(",") if word.strip()]


def secret_key(name: str) -> str:
    hint = (
        "Write a random string of at least 50 characters, for example from "
        '`python -c "import secrets; print(secrets.token_urlsafe(50))"`.'
    )
    value = text(name, hint=hint)
    if len(value) < 50 or len(set(value)) < 5 or value.startswith("django-insecure-"):
        stop(name, f"is too weak. {hint}")
    return value


def database(name: str) -> dict[str, Any]:
    hint = (
        "Write postgres://USER:PASSWORD@HOST:PORT/DATABASE, or for a unix socket "
        "postgres://USER:PASSWORD@%2Frun%2Fpostgresql/DATABASE, "
        "with special characters in the password percent-encoded."
    )
    url = text(name, hint=hint)
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("postgres", "postgresql"):
            raise ValueError
        config: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        stop(name, f"is malformed. {hint}")
    if not config.get("NAME") or "/" in config["NAME"]:
        stop(name, f"is malformed. {hint}")
    host, _, port = parts.netloc.rpartition("@")[2].partition(":")
    if host.lower().startswith("%2f"):
        # A directory: parsing as a host name would have changed its case.
        config |= {"HOST": unquote(host), "PORT": port}
    return config


def file(name: str) -> str | None:
    value = _read(name)
    if value and not Path(value).is_file():
        stop(name, f"is {value!r}, and there is no such file.")
    return value or None


def hosts(name: str) -> list[str]:
    hint = "Write the host names that clients use, separated by commas: api.example.com"
    values = words(name)
    if not values:
        stop(name, f"is not set. {hint}. {_LOCAL}")
    for value in values:
        if not _ALLOWED_HOST.fullmatch(value.lower()) or not _is_host(value.lower()):
            stop(name, f"holds {value!r}. {hint} (no scheme, port, path or *)")
    return values


def origins(name: str) -> list[str]:
    """Exact origins of front ends. Plain HTTP is for a front end on the reader's own machine."""
    hint = "Write exact origins, separated by commas: https://app.example.com"
    values = [value.lower() for value in words(name)]
    for value in values:
        match = _ORIGIN.fullmatch(value)
        if not match or int(match["port"] or 1) > 65535 or not _is_host(match["host"]):
            stop(name, f"holds {value!r}. {hint} (scheme and host, no path, no *)")
        if match["scheme"] == "http" and not _is_local(match["host"]):
            stop(name, f"holds {value!r}. Plain http is for localhost only; write https.")
        if match["port"] == {"http": "80", "https": "443"}[match["scheme"]]:
            stop(name, f"holds {value!r}. Leave out the default port, as browsers do.")
    return values


def _is_host(host: str) -> bool:
    """What is in brackets must be an IPv6 address, as browsers write it: [::1]."""
    if not host.startswith("["):
        return True
    try:
        return host == f"[{IPv6Address(host.strip('[]'))}]"
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "[::1]") or host.endswith(".localhost")


def broker(name: str) -> str:
    hint = (
        "Write amqp://USER:PASSWORD@HOST:5672/VHOST (or amqps://) for RabbitMQ, "
        "or redis://HOST:6379/0 (or rediss://) for Redis or Valkey."
    )
    url = text(name, hint=hint)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("amqp", "amqps", "redis", "rediss") and parts.hostname
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        # The value may carry a password: it is not repeated.
        stop(name, f"is malformed or of another kind. {hint}")
    return url
