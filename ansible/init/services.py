"""The database, the broker and the cache of a project: those of its host, or others that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.code import sources, text_of
from init.neighbours import CACHE_PORT, free_cache_port
from init.part import Part
from init.settings import Settings

DATABASE_URL = "{{ vault_database_password | slipway.host.postgres_url(project_name) }}"
BROKER_URL = "{{ vault_broker_password | slipway.host.amqp_url(project_name) }}"
# Of one that the inventory describes, whatever its URL is.
BROKER = "{{ application_broker_url }}"
BROKER_NAMES = {"CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER", "AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL"}
# The role sets both; the first alone tells that the project wants a Redis.
CACHE_NAMES = ("REDIS_URL", "CACHE_URL")
MORE_CACHE_NAMES = ("CACHE_REDIS_URL", "REDIS_CACHE_URL", "REDIS_LOCATION", "VALKEY_URL")
REDIS_PART = re.compile(r"(?:\w+_)?REDIS_(?:HOST|PORT|PASSWORD)")
# What the ends of names such as POSTGRES_HOST say.
DATABASE_PARTS = {
    "HOST": "/run/postgresql",
    "PORT": "5432",
    "NAME": "{{ project_name }}",
    "DB": "{{ project_name }}",
    "DATABASE": "{{ project_name }}",
    "USER": "{{ project_name }}",
    "USERNAME": "{{ project_name }}",
    "PASSWORD": "{{ vault_database_password }}",
    "PASS": "{{ vault_database_password }}",
}
BEGIN = r"(?:DJANGO_)?(?:POSTGRES|POSTGRESQL|PG|DB|DATABASE|SQL)_?"
# Backends that need no relay, where none of SMTP stands beside them.
OTHER_MAIL = re.compile(
    r"^(?!.*smtp).*(console|dummy|filebased|locmem|anymail|django_ses|postmark|sendgrid)", re.DOTALL
)
# What sends mail; Django's own pages for a forgotten password do.
MAIL = re.compile(
    r"\bsend_mail\b|\bEmailMessage\b|\bmail_admins\b|\bEMAIL_\w|\ballauth\b|contrib\.auth\.urls|PasswordReset"
)
DATABASE_NAME = re.compile(f"{BEGIN}({'|'.join(DATABASE_PARTS)})")
ENGINE_NAME = re.compile(f"{BEGIN}(ENGINE)?(?:BACKEND|TYPE|VENDOR)?")
ENGINES = {"postgis": "django.contrib.gis.db.backends.postgis", "mysql": "django.db.backends.mysql"}


def existing(service: str, url: str) -> tuple[str, dict[str, str]]:
    """What the inventory has for the URL of a service that exists; one that may have a password in it is a secret."""
    if not set("@?") & set(url):
        return url, {}
    return f"{{{{ vault_{service}_url }}}}", {f"{service}_url": url}


def redis_names(settings: Settings) -> set[str]:
    """The variables that say where a Redis is: one with a URL, or a password and the rest of the parts."""
    names = settings.variables.keys() & {*CACHE_NAMES, *MORE_CACHE_NAMES}
    parts = {name for name in settings.variables if REDIS_PART.fullmatch(name)}
    is_whole = {"HOST", "PASSWORD"} <= {name.rpartition("_")[2] for name in parts}
    return (names if names - {"CACHE_URL"} else set()) | (parts if is_whole else set())


def is_written_out(settings: Settings) -> bool:
    """Whether the settings say themselves where Celery's broker is."""
    return any(isinstance(settings.literal(name), str) for name in BROKER_NAMES)


def broker(given: str | None, celery: str | None, settings: Settings) -> Part:
    names = settings.variables.keys() & BROKER_NAMES
    redis = redis_names(settings)
    if given:
        url, secrets = existing("broker", given)
        note = "The settings read no CELERY_BROKER_URL, which says where BROKER is: let them read it."
        is_read = names or (redis if given.startswith("redis") else celery and not redis)
        return Part(variables={"application_broker_url": url}, secrets=secrets, notes=[] if is_read else [note])
    if celery and (names or not redis or is_written_out(settings)):
        return Part(groups=["broker"], variables={"application_broker_url": BROKER_URL})
    return Part()


def cache(given: str | None, celery: str | None, settings: Settings, inventories: Path) -> Part:
    """A Redis with a password, which also keeps the queue where Celery's settings read no other address."""
    names = redis_names(settings)
    if not names:
        return Part()
    if given and given.startswith("redis"):
        urls = sorted(name for name in names if not REDIS_PART.fullmatch(name))
        return Part(environment=dict.fromkeys(urls, BROKER))
    port = free_cache_port(inventories)
    parts = {"HOST": "127.0.0.1", "PORT": str(port), "PASSWORD": "{{ vault_cache_password }}"}
    own = {name: parts.get(name.rpartition("_")[2], "{{ application_cache_url }}") for name in sorted(names)}
    has_other = BROKER_NAMES & settings.variables.keys() or is_written_out(settings)
    keeps_queue = bool(celery) and not given and not has_other
    at = "" if port == CACHE_PORT else f"(port={port})"
    return Part(
        groups=["cache"],
        variables={"application_cache_url": f"{{{{ vault_cache_password | slipway.host.redis_url{at} }}}}"},
        environment={name: value for name, value in own.items() if name not in CACHE_NAMES},
        cache={
            **({"cache_port": port} if at else {}),
            **({"cache_persistent": True} if keeps_queue else {}),
        },
    )


def database(given: str | None, settings: Settings, project: str) -> Part:
    urls = sorted(name for name, variable in settings.variables.items() if variable.kind == "db")
    reads_url = bool(urls) or "DATABASE_URL" in settings.variables
    # The role sets DATABASE_URL; where the project has another name for it, that one.
    named = {} if "DATABASE_URL" in settings.variables else dict.fromkeys(urls[:1], "{{ application_database_url }}")
    parts = [name for name in settings.variables if DATABASE_NAME.fullmatch(name)]
    if given:
        url, secrets = existing("database", given)
        values, password = parts_of(given)
        note = "The settings read no DATABASE_URL, which says where DATABASE is: let them read it."
        return Part(
            variables={"application_database_url": url},
            environment=named | filled(parts, values, settings, engine=ENGINES.get(given.partition("://")[0])),
            secrets=secrets | password,
            notes=[] if reads_url or parts else [note],
        )
    if not reads_url:
        require_postgresql(settings)
    if reads_url or parts:
        return Part(
            groups=["database"],
            variables={"application_database_url": DATABASE_URL},
            environment=named | filled(parts, DATABASE_PARTS, settings),
        )
    return file_database(settings, project)


def relay(settings: Settings) -> Part:
    """A note where the project sends mail by SMTP, since a host has no server for that."""
    text = "\n".join([settings.text, *map(text_of, sources(settings.folder))])
    is_other = re.search(
        r"console|dummy|filebased|locmem|anymail|django_ses|postmark", settings.expression("EMAIL_BACKEND")
    )
    if is_other or not MAIL.search(text):
        return Part()
    note = "The project sends mail, and no host does that by itself: name a relay in application_mail_url."
    return Part(notes=[note])


def require_postgresql(settings: Settings) -> None:
    """Refuse settings that want another server and nothing else."""
    written = [entry["ENGINE"] for _, entry in databases(settings) if "ENGINE" in entry]
    engines = [str(node.value) for node in written if isinstance(node, ast.Constant)]
    other = next(filter(None, (re.search(r"backends\.(mysql|oracle)|(mssql)", engine) for engine in engines)), None)
    if other and "DATABASES" not in settings.doubtful and not any("postg" in engine for engine in engines):
        raise UserError(
            f"The settings use {other[1] or other[2]} ({settings.place('DATABASES')}), and Slipway makes servers of "
            "PostgreSQL alone: let the settings read DATABASE_URL, or give the URL of a server that exists with "
            "DATABASE=... (--database)."
        )


def databases(settings: Settings) -> Iterator[tuple[Path, dict[str, ast.expr]]]:
    """The databases that DATABASES writes out, each with its file."""
    if made := settings.assignments.get("DATABASES"):
        for node in ast.walk(made.value):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                entry = {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
                if {"ENGINE", "NAME"} & entry.keys():
                    yield made.path, entry


def is_file(entry: Mapping[str, ast.expr]) -> bool:
    """Whether a database is a file: its engine says so, or where that is not known, its name."""
    return "sqlite" in ast.unparse(entry["ENGINE"] if "ENGINE" in entry else entry["NAME"])


def file_database(settings: Settings, project: str) -> Part:
    """Databases that are files, or none that is known."""
    entries = [(path, entry) for path, entry in databases(settings) if "NAME" in entry and is_file(entry)]
    found = [file for path, entry in entries if (file := settings.inner(settings.path(entry["NAME"], path)))]
    if not found:
        return Part(notes=["The settings name no database that is known: set what they need in application.yml."])
    note = (
        f"The database is the file {', '.join(found)}: it stays on its host, in /srv/{project}/data. For PostgreSQL, "
        f"let the settings read DATABASE_URL, remove inventories/{project} and run this again."
    )
    return Part(variables={"application_persistent_paths": found}, notes=[note])


def filled(
    names: list[str], values: Mapping[str, str], settings: Settings, engine: str | None = None
) -> dict[str, str]:
    """The variables that have one part of the database's address each, and that of its engine."""
    environment = {name: values[match[1]] for name in names if (match := DATABASE_NAME.fullmatch(name))}
    engine = engine or "django.db.backends.postgresql"
    for name, variable in settings.variables.items() if names else ():
        if not (kind := ENGINE_NAME.fullmatch(name)):
            continue
        words = settings.reader.compared.get(name, set())
        if "postg" in engine and (chosen := [word for word in sorted(words) if re.match("postg|pgsql", word)]):
            environment[name] = chosen[0]
        elif not kind[1] and "backends" not in str(variable.default):
            continue
        elif "postgresql" not in engine or not re.search(rf"{name}[\"'][^)\n]*postg", settings.text):
            environment[name] = engine
    return environment


def parts_of(given: str) -> tuple[dict[str, str], dict[str, str]]:
    """The parts of a database's URL by the names that variables have for them, and its password as a secret."""
    url = urlsplit(given)
    found = {
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": "{{ vault_database_password }}" if url.password else "",
    }
    also = {"DB": "NAME", "DATABASE": "NAME", "USERNAME": "USER", "PASS": "PASSWORD"}
    found |= {name: found[other] for name, other in also.items()}
    return found, {"database_password": unquote(url.password)} if url.password else {}
