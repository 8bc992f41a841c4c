"""What a value must be. Pure functions: the check of an inventory and `make init` judge by the same ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """A test, the same in words, and a value that passes."""

    accepts: Callable[[Any], bool]
    words: str
    example: Any


def is_whole(minimum: int, maximum: int = 2**31) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and minimum <= value <= maximum


# Debian's own users and groups, those of packages that hosts have, and the units that a project's own would replace.
TAKEN = set(
    """
    adm admin audio backup bin cdrom crontab daemon dialout dip disk fax floppy games gnats input irc kmem kvm
    list lp mail man news nobody nogroup operator plugdev proxy render root sasl sgx shadow src staff sudo sync sys tape
    tty users utmp uucp uuidd video voice www-data
    epmd messagebus netdev polkitd postgres rabbitmq ssl-cert sshd syslog tcpdump
    apparmor auditd chrony cron dbus fail2ban getty logrotate networking nftables nginx ntp ntpsec polkit postgresql
    rabbitmq-server redis redis-server rsync rsyslog ssh ufw unattended-upgrades user valkey valkey-server
    """.split()  # noqa: SIM905 - a list of a hundred lines says no more
)


def is_name(value: object) -> bool:
    """A name of our own for a user, a database, units and folders."""
    shape = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,23}", value)
    return bool(shape) and value not in TAKEN and not str(value).startswith("systemd")


def is_environment(value: Mapping[object, object]) -> bool:
    shape = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    return all(shape.fullmatch(str(name)) and isinstance(text, str | int | float) for name, text in value.items())


def are_settings(value: Mapping[object, object]) -> bool:
    return all(re.fullmatch(r"[A-Z][A-Z0-9_]*", str(name)) for name in value)


def are_processes(value: Sequence[Mapping[str, Any]]) -> bool:
    """Names that units can have, one socket for the web processes, one clock."""
    names = {each["name"] for each in value if re.fullmatch(r"[a-z][a-z0-9]{0,15}", each["name"])} - {"release"}
    counts = [1 if each.get("count") is None else each["count"] for each in value if each["kind"] == "worker"]
    several = any((each.get("count") or 1) > 1 for each in value if each["kind"] != "worker")
    web = all((each["kind"] == "web") == (each["name"] == "web") for each in value)
    beats = [each for each in value if each["kind"] == "beat"]
    commands = all(each["command"].strip() for each in value)
    schedules = all((each["kind"] == "timer") == bool((each.get("schedule") or "").strip()) for each in value)
    return (
        len(names) == len(value)
        and commands
        and schedules
        and web
        and len(beats) < 2
        and not several
        and min(counts, default=1) > 0
    )


def is_inner_path(value: str) -> bool:
    """A path inside the project's folder."""
    parts = Path(value).parts
    return bool(re.fullmatch(r"[\w.@+-][\w.@+/-]*", value)) and ".." not in parts and not value.startswith(".")


# What a release itself has.
OURS = (".venv", ".complete", ".release.json", ".requirements", ".requirements.txt")


def are_files(value: Mapping[object, object]) -> bool:
    """Texts by paths in the project's folder, also hidden ones such as .env, none of them in another."""
    paths = {str(path) for path in value}
    shaped = all(re.fullmatch(r"[\w.@+-]+(/[\w.@+-]+)*", path) and ".." not in Path(path).parts for path in paths)
    nested = any(str(parent) in paths for path in paths for parent in Path(path).parents)
    ours = any(Path(path).parts[0] in OURS for path in paths)
    return shaped and not nested and not ours and all(isinstance(text, str) and text for text in value.values())


def is_requirements(value: str) -> bool:
    name = Path(value).name
    inner = re.sub(r"^(\.\./)+", "", value)
    return is_inner_path(inner) and (name in ("uv.lock", "poetry.lock", "pyproject.toml") or name.endswith(".txt"))


def is_health_path(value: str) -> bool:
    return value == "" or bool(re.fullmatch(r"/\S*", value))


def is_url_path(value: str) -> bool:
    return value == "" or bool(re.fullmatch(r"/([\w.-]+/)+", value))


def is_absolute_path(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"/[^\0\n]*", value))


def is_python_package(value: object) -> bool:
    """A requirement as pip takes it; no option, and no file."""
    name, version = r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?(\[[\w.-]+(, *[\w.-]+)*\])?", r"(===?|~=|!=|[<>]=?) *[\w.*+!-]+"
    return isinstance(value, str) and bool(re.fullmatch(rf"{name} *({version}( *, *{version})*|@ *\S+://\S+)?", value))


NAME = Rule(
    is_name,
    "it must be a short name of lower-case letters, digits and hyphens that no user or unit of the system has",
    "shop",
)
ENVIRONMENT = Rule(
    is_environment,
    "each name must be letters, digits and underscores, and each value text or a number",
    {"EMAIL_HOST": "smtp.example.org"},
)
SETTINGS = Rule(
    are_settings,
    "each name must be that of a Django setting, in upper-case letters",
    {"ALLOWED_HOSTS": ["shop.example.org"]},
)
FILES = Rule(
    are_files,
    "each name must be a path in the project's folder, and each value the text of that file",
    {"config/local_settings.py": "{{ vault_local_settings }}"},
)
COMMANDS = Rule(
    lambda value: all(command.strip() and "\n" not in command for command in value),
    "each must be a command on one line",
    ["npm ci", "npm run build"],
)
PROCESSES = Rule(
    are_processes,
    "each has a command and a name of its own, lower-case letters and digits; that of kind web is named web, and "
    "it and that of kind beat are there once (give the server more workers in its command instead); that of kind timer "
    "alone has a schedule",
    [{"name": "web", "kind": "web", "command": "gunicorn config.wsgi:application"}],
)
REQUIREMENTS = Rule(
    is_requirements,
    "it must be a path from the project's folder to uv.lock, poetry.lock, pyproject.toml or a list named .txt",
    "requirements.txt",
)
PYTHON = Rule(
    lambda value: bool(re.fullmatch(r"|3\.[1-9]\d(\.\d+)?|/\S+", value)),
    "it must be a version of Python from 3.10 on, in quotes, or the absolute path of an interpreter on the host",
    "3.14",
)
MIRROR = Rule(
    lambda value: bool(re.fullmatch(r"|(https?://|file:///)\S+", value)),
    "it must be an address that begins with https://, http:// or file:///",
    "https://mirror.example.org/python-build-standalone",
)
PACKAGES = Rule(
    lambda value: all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(:\w+)?(=\S+)?", str(name)) for name in value),
    "each must be the name of one package of the distribution",
    ["gdal-bin", "libpq-dev"],
)
PYTHON_PACKAGES = Rule(
    lambda value: all(map(is_python_package, value)),
    "each must be a Python package as pip takes it, with or without a version",
    ["gunicorn==23.0.0", "psycopg[binary]>=3.2"],
)
INNER_PATH = Rule(is_inner_path, "it must be a path in the project's folder", "staticfiles")
INNER_PATH_OR_NONE = Rule(lambda value: value == "" or is_inner_path(value), INNER_PATH.words, "media")
INNER_PATHS = Rule(
    lambda value: all(map(is_inner_path, value)),
    "each must be a path in the project's folder",
    ["db.sqlite3", "uploads/"],
)
HEALTH_PATH = Rule(is_health_path, "it must be a path that begins with a slash and has no spaces, or empty", "/health/")
PLAIN_PATH = Rule(
    lambda value: bool(re.fullmatch(r"(/[\w./-]*)?", value)),
    "it must be a path that begins with a slash and has letters, digits, dots, hyphens and underscores alone, or empty",
    "/health/ready/",
)
USERS = Rule(
    lambda value: all(re.fullmatch(r"[^:\s]+", str(n)) and re.fullmatch(r".+", str(p)) for n, p in value.items()),
    "each name must have a password, and neither a colon nor a space",
    {"ada": "{{ vault_basic_auth_password }}"},
)
STATIC_URL = Rule(is_url_path, "it must be a path that begins and ends with a slash", "/static/")
MEDIA_URL = Rule(is_url_path, "it must be a path that begins and ends with a slash, or empty", "/media/")
ABSOLUTE_PATH = Rule(is_absolute_path, "it must be an absolute path", "/srv/example")
TIME_OR_NONE = Rule(
    lambda value: bool(re.fullmatch(r"|([01]\d|2[0-3]):[0-5]\d", value)),
    "it must be a time of the day in quotes, or empty",
    "03:30",
)
PORT = Rule(is_whole(1, 65535), "a port is a whole number from 1 to 65535", 8443)
SECONDS = Rule(is_whole(1), "it must be a whole number of seconds above 0", 30)
DAYS = Rule(is_whole(1), "it must be a whole number of days above 0", 30)
COUNT = Rule(is_whole(1), "it must be a whole number above 0", 3)
PER_MINUTE = Rule(is_whole(1), "it must be a whole number above 0", 60)
MEGABYTES = Rule(is_whole(0), "it must be a whole number of megabytes, 0 for none", 512)
MEMORY = Rule(is_whole(16), "it must be a whole number of megabytes, 16 or more", 128)
PERCENT = Rule(is_whole(1, 100), "it must be a whole number from 1 to 100", 25)
