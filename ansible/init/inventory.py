"""The inventory of a project: what is looked at, in which order, and what each look needs from those before."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from init import environment, packages, processes, services
from init.assets import assets, files
from init.options import Options
from init.part import Part, together
from init.procfile import read_procfile
from init.requirements import Requirements, read_requirements
from init.settings import Settings, find_settings
from init.source import Source, uncommitted


@dataclass(frozen=True)
class Inventory:
    """What was found, and what of it differs from the defaults of the roles."""

    options: Options
    source: Source
    requirements: str
    settings: str
    part: Part


def describe(options: Options, source: Source) -> Inventory:
    """What the files of a project say."""
    requirements = read_requirements(source, options.requirements)
    settings = Settings(find_settings(options.settings, source.folder), source.folder)
    procfile = read_procfile(source)
    celery = processes.find_celery(options.celery, source.folder, procfile)
    settings.read_too(celery)

    web = processes.web(options.entry, settings, requirements, procfile)
    queue = processes.queue(celery, requirements, settings, procfile)
    broker = services.broker(options.broker, celery, settings)
    cache = services.cache(options.broker, celery, settings, options.inventories)
    database = services.database(options.database, settings, options.name)
    broker_url = broker.variables.get("application_broker_url")
    variables = environment.environment(
        settings,
        filled=[*database.environment, *cache.environment, *(services.CACHE_NAMES if cache.groups else ())],
        broker=broker_url,
    )
    folders = environment.folders(settings, options.domain)
    replaced = environment.replaced_settings(settings, options.domain, broker_url)
    others = processes.others(procfile, [each["name"] for each in (*web.processes, *queue.processes)])
    native = packages.system(requirements, settings)
    driver = packages.driver(database, options.database, requirements)
    python = packages.python(source.folder, requirements)
    built = assets(source, settings)
    before, after = Part(notes=unused(requirements)), Part(notes=to_commit(source, requirements, settings, built))
    first = [before, python, web, queue, others]
    then = [broker, cache, database, driver, native, built, services.relay(settings)]
    part = together([*first, *then, variables, folders, replaced, after])
    return Inventory(options, source, requirements.file, settings.module, part)


def unused(requirements: Requirements) -> list[str]:
    """A note about files of requirements that are not installed."""
    others = ", ".join(requirements.unused)
    return [f"Installs what {requirements.file} says, not {others}."] if others else []


def to_commit(source: Source, requirements: Requirements, settings: Settings, built: Part) -> list[str]:
    needed = [source.folder / "manage.py", source.folder / requirements.file, *settings.files]
    needed += files(source.folder) if built.variables else []
    note = uncommitted(source, needed)
    return [note] if note else []


def values(inventory: Inventory) -> dict[str, dict[str, Any]]:
    """The variables of each file in group_vars/all, but for secrets."""
    options, part = inventory.options, inventory.part
    found: dict[str, dict[str, Any]] = {
        "application": application(inventory),
        "project": {"project_name": options.name, "project_domain": options.domain, "project_admins": []},
    }
    if "database" in part.groups:
        found["postgresql"] = {"postgresql_password": "{{ vault_database_password }}"}
    if "broker" in part.groups:
        found["broker"] = {"broker_password": "{{ vault_broker_password }}"}
    if "cache" in part.groups:
        found["cache"] = {"cache_password": "{{ vault_cache_password }}", **part.cache}
    if part.nginx:
        found["nginx"] = part.nginx
    return found


def application(inventory: Inventory) -> dict[str, Any]:
    options, source, part = inventory.options, inventory.source, inventory.part
    if source.repository:
        place = {"application_source_repository": source.repository}
    else:
        # As it is from here, for whoever has both checkouts side by side.
        way = os.path.relpath(source.root, (options.inventories / options.name).resolve())
        place = {"application_source_path": f"{{{{ inventory_dir }}}}/{way}"}
    found = {
        **place,
        "application_source_folder": source.inner,
        "application_requirements_file": inventory.requirements,
        "application_settings_module": inventory.settings,
        "application_processes": part.processes,
        "application_health_path": options.health,
        **part.variables,
        **({"application_packages": sorted(set(part.packages))} if part.packages else {}),
        **({"application_python_packages": part.python_packages} if part.python_packages else {}),
        "application_secret_key": "{{ vault_secret_key }}",
    }
    return found | ({"application_environment": part.environment} if part.environment else {})


def secrets(inventory: Inventory) -> dict[str, str | None]:
    """The secrets by name, with the value of those that were given."""
    part = inventory.part
    own = [name for name in ("database", "broker", "cache") if name in part.groups]
    generated = ["secret_key", *(f"{name}_password" for name in own)]
    return dict.fromkeys(generated) | part.secrets
