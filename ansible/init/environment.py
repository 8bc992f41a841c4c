"""What the environment of a project must say, and which of its settings are replaced."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from ansible_collections.slipway.host.plugins.module_utils.inventory import rules

from init.part import Part
from init.services import BROKER, BROKER_NAMES
from init.settings import Settings
from init.variables import SYSTEM

DEBUG_NAMES = ("DEBUG", "DJANGO_DEBUG")
# The names that environments have, and what this inventory has for them.
KNOWN = {
    "DJANGO_SECRET_KEY": "{{ application_secret_key }}",
    "DJANGO_ALLOWED_HOSTS": "{{ application_allowed_hosts | join(',') }}",
    "CSRF_TRUSTED_ORIGINS": "https://{{ application_domain }}",
    "DJANGO_CSRF_TRUSTED_ORIGINS": "https://{{ application_domain }}",
    "DJANGO_ADMIN_URL": "admin/",
    **dict.fromkeys(("BASE_URL", "PUBLIC_URL", "SITE_URL"), "https://{{ application_domain }}"),
    **dict.fromkeys(("DOMAIN", "DOMAIN_NAME", "SITE_DOMAIN"), "{{ application_domain }}"),
}
# Defaults with these lead to a machine that is none of the project's hosts, or to nobody.
ELSEWHERE = re.compile(r"localhost|127\.0\.0\.1|0\.0\.0\.0|\bexample\.(com|org)|://(redis|db|postgres|rabbitmq)\b")
# What the role sets for every project.
ROLE_SETS = {
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "DJANGO_SETTINGS_MODULE",
    "LOG_LEVEL",
    "SECRET_KEY",
    "WEB_CONCURRENCY",
    "WORKER_CONCURRENCY",
}


def environment(settings: Settings, filled: Collection[str], broker: str | None) -> Part:
    """The variables that are not `filled` yet: those that are well known, and those that somebody must set.

    `broker` is what the inventory has for the broker's URL.
    """
    part = Part()
    for name, variable in sorted(settings.variables.items()):
        if name in filled or name in ROLE_SETS:
            continue
        if name in DEBUG_NAMES:
            part.environment[name] = "0" if "int(" in settings.expression("DEBUG") else "False"
        elif name in KNOWN:
            part.environment[name] = KNOWN[name]
        elif name in BROKER_NAMES and broker:
            # The role sets that one.
            if name != "CELERY_BROKER_URL":
                part.environment[name] = BROKER
        elif variable.required and name not in SYSTEM:
            part.missing.append((name, variable.place))
        elif isinstance(variable.default, str) and ELSEWHERE.search(variable.default):
            shown = re.sub(r"//[^/@]*@", "//...@", variable.default)
            part.defaults.append((name, f"{variable.place}: {shown}"))
    return part


def folders(settings: Settings, domain: str) -> Part:
    """Where static files and media lie, and their addresses."""
    part = Part()
    static, media = settings.folder_of("STATIC_ROOT"), settings.folder_of("MEDIA_ROOT")
    if static and static != "staticfiles":
        part.variables["application_static_folder"] = static
    if settings.path_of("STATIC_ROOT") and not static:
        part.notes.append(
            f"STATIC_ROOT ({settings.place('STATIC_ROOT')}) lies outside of the project, which no host can build: let "
            "the settings name a folder of the project."
        )
    if media:
        part.variables["application_media_folder"] = media
        part.nginx.update(address(settings, "MEDIA_URL", domain))
    elif "MEDIA_ROOT" in settings.assignments and settings.literal("MEDIA_ROOT") != "":
        part.notes.append(
            f"MEDIA_ROOT ({settings.place('MEDIA_ROOT')}) is no folder of the project that is known: if it is one, "
            "name it in application_media_folder; elsewhere, no process may write."
        )
    part.nginx.update(address(settings, "STATIC_URL", domain))
    return part


def address(settings: Settings, name: str, domain: str) -> dict[str, str]:
    """What nginx has for an address that is not the usual one, unless another host serves it."""
    url = settings.literal(name)
    host = re.match(r"(?:https?:)?//([^/]*)", url) if isinstance(url, str) else None
    if not isinstance(url, str) or (host and host[1] != domain):
        return {}
    path = f"/{url[host.end() if host else 0 :].strip('/')}/"
    variable = f"nginx_{name.lower()}"
    usual = ("//", "/static/" if name == "STATIC_URL" else "/media/")
    return {variable: path} if path not in usual and rules.MEDIA_URL.accepts(path) else {}


def replaced_settings(settings: Settings, domain: str, broker: str | None) -> Part:
    """Settings that are written out where they should differ between this machine and a server."""
    own = written_out(settings, domain, broker)
    notes = []
    if own:
        places = ", ".join(f"{name} ({settings.place(name)})" for name in own if name in settings.assignments)
        notes.append(f"Written out in the settings, and replaced by application_settings: {places}.")
        own |= {"CSRF_COOKIE_SECURE": True, "SESSION_COOKIE_SECURE": True}
        own["SECURE_PROXY_SSL_HEADER"] = ["HTTP_X_FORWARDED_PROTO", "https"]
    if may_misread_debug(settings):
        own["DEBUG"] = False
    return Part(variables={"application_settings": own} if own else {}, notes=notes)


def written_out(settings: Settings, domain: str, broker: str | None) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if settings.literal("DEBUG") is True:
        own["DEBUG"] = False
    hosts, origins = settings.literal("ALLOWED_HOSTS"), settings.literal("CSRF_TRUSTED_ORIGINS")
    if isinstance(hosts, list | tuple) and not covers(hosts, domain):
        own["ALLOWED_HOSTS"] = "{{ application_allowed_hosts }}"
    if isinstance(origins, list | tuple) or "ALLOWED_HOSTS" in own:
        # Without its scheme and its star, an origin is a name as ALLOWED_HOSTS has them.
        given = origins if isinstance(origins, list | tuple) else ()
        if not covers((re.sub(r"^https://\*?", "", str(origin)) for origin in given), domain):
            own["CSRF_TRUSTED_ORIGINS"] = ["https://{{ application_domain }}"]
    for name in ("CELERY_BROKER_URL", "BROKER_URL"):
        if isinstance(url := settings.literal(name), str) and ELSEWHERE.search(url) and broker:
            own[name] = BROKER
    if isinstance(settings.literal("SECRET_KEY"), str):
        own["SECRET_KEY"] = "{{ application_secret_key }}"  # noqa: S105 - a reference
    return own


def covers(hosts: Iterable[object], domain: str) -> bool:
    """Whether a list such as ALLOWED_HOSTS has a domain in it."""
    return any(
        name in ("*", domain) or (name.startswith(".") and f".{domain}".endswith(name)) for name in map(str, hosts)
    )


def may_misread_debug(settings: Settings) -> bool:
    """Whether DEBUG is made of a text in a way that may take "False" for true."""
    said = settings.expression("DEBUG")
    cast = re.search(r"\.bool\(|cast", said) or re.search(r"\bDEBUG=\(bool", settings.text)
    return bool(said) and said != "False" and not cast
