"""The database and the broker of a project: those of its host, or others that exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from init.part import Part
from init.settings import Settings

DATABASE_URL = "{{ vault_database_password | slipway.host.postgres_url(project_name) }}"
BROKER_URL = "{{ vault_broker_password | slipway.host.amqp_url(project_name) }}"
BROKER_NAMES = {"CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER", "AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL"}
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
DATABASE_NAME = re.compile(f"{BEGIN}({'|'.join(DATABASE_PARTS)})")
ENGINE_NAME = re.compile(f"{BEGIN}ENGINE")
ENGINES = {"postgis": "django.contrib.gis.db.backends.postgis", "mysql": "django.db.backends.mysql"}


def existing(service: str, url: str) -> tuple[str, dict[str, str]]:
    """What the inventory has for the URL of a service that exists; one that may have a password in it is a secret."""
    if not set("@?") & set(url):
        return url, {}
    return f"{{{{ vault_{service}_url }}}}", {f"{service}_url": url}


def broker(given: str | None, celery: str | None, settings: Settings) -> Part:
    names = set(settings.variables)
    if given:
        url, secrets = existing("broker", given)
        note = "The settings read no CELERY_BROKER_URL, which says where BROKER is: let them read it."
        unread = not celery and not {"REDIS_URL", *BROKER_NAMES} & names
        return Part(variables={"application_broker_url": url}, secrets=secrets, notes=[note] if unread else [])
    if celery and ("REDIS_URL" not in names or BROKER_NAMES & names):
        return Part(groups=["broker"], variables={"application_broker_url": BROKER_URL})
    return Part()


def database(given: str | None, settings: Settings, project: str) -> Part:
    reads_url = "DATABASE_URL" in settings.variables or "dj_database_url.config" in settings.text
    parts = [name for name in settings.variables if DATABASE_NAME.fullmatch(name)]
    if given:
        url, secrets = existing("database", given)
        values, password = parts_of(given)
        note = "The settings read no DATABASE_URL, which says where DATABASE is: let them read it."
        return Part(
            variables={"application_database_url": url},
            environment=filled(parts, values, settings, engine=ENGINES.get(given.partition("://")[0])),
            secrets=secrets | password,
            notes=[] if reads_url or parts else [note],
        )
    if other := re.search(r"backends\.(mysql|oracle)", settings.expression("DATABASES")):
        note = (
            f"The settings use {other[1]}, and no server for it is made: say where yours is in "
            "application_environment, or let the settings use PostgreSQL."
        )
        return Part(notes=[note])
    if reads_url or parts:
        return Part(
            groups=["database"],
            variables={"application_database_url": DATABASE_URL},
            environment=filled(parts, DATABASE_PARTS, settings),
        )
    return file_database(settings, project)


def file_database(settings: Settings, project: str) -> Part:
    """A database that is a file, or none that is known."""
    found = re.search(r"(?:BASE_DIR|ROOT_DIR)\s*/\s*[\"']([\w.-]+\.sqlite3?)[\"']", settings.text)
    if not found:
        return Part(notes=["The settings name no database that is known: set what they need in application.yml."])
    note = (
        f"The database is the file {found[1]}: it stays on its host, in /srv/{project}/data. For PostgreSQL, let the "
        f"settings read DATABASE_URL, remove inventories/{project} and run this again."
    )
    return Part(variables={"application_persistent_paths": [found[1]]}, notes=[note])


def filled(
    names: list[str], values: Mapping[str, str], settings: Settings, engine: str | None = None
) -> dict[str, str]:
    """The variables that have one part of the database's address each, and that of its engine."""
    environment = {name: values[match[1]] for name in names if (match := DATABASE_NAME.fullmatch(name))}
    engine = engine or "django.db.backends.postgresql"
    for name in filter(ENGINE_NAME.fullmatch, settings.variables if names else ()):
        if "postgresql" not in engine or not re.search(rf"{name}[\"'][^)\n]*postg", settings.text):
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
