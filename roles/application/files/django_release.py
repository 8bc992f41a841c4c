"""Take one step of a release with the release's own Django, and print what it found as JSON.

STEP says which, `python django_release.py` runs in the project's folder, as the project's user. Where the step is
refused, the answer is {"refused": why}:

    build       collect the static files, then all of `check`
    check       what this host needs of the settings, Django's checks for deployment, then all of `plan`
    plan        which migrations are pending, what of them would break the running release, which are applied
    migrate     apply what is pending, one run at a time on this database
    reversible  whether TARGETS ("app=migration ...") can be reversed
    reverse     reverse to TARGETS

SQUAWK is what judges SQL, LINTED_APPS the apps of the release that runs.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from migration_lint import label, lint
from migration_locks import Refused, alone, apply, manage

Json = dict[str, Any]
# Strict-Transport-Security and the way from HTTP to HTTPS.
PROXY_DOES = ("security.W004", "security.W008")


def key(migration: tuple[str, str]) -> str:
    return ".".join(migration)


def executor() -> Any:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    return MigrationExecutor(connection)


def pending(executor: Any) -> list[Any]:
    """The migrations that `migrate` would apply, in order."""
    return [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def all_migrations(loader: Any) -> list[str]:
    """Every migration that this release stands for: those on disk, and those that a squashed one replaces."""
    squashed = [replaced for migration in loader.disk_migrations.values() for replaced in migration.replaces]
    return sorted(key(migration) for migration in {*loader.disk_migrations, *squashed})


def plan() -> Json:
    from django.apps import apps

    state = executor()
    todo = pending(state)
    return {
        "pending": [label(migration) for migration in todo],
        "findings": lint(state, todo),
        "applied": sorted(map(key, state.loader.applied_migrations)),
        "migrations": all_migrations(state.loader),
        "leaves": dict(state.loader.graph.leaf_nodes()),
        "apps": sorted(config.label for config in apps.get_app_configs()),
    }


def require_settings() -> None:
    """Refuse settings that cannot serve here, each with what to change."""
    from django.conf import settings
    from django.http.request import validate_host

    root = os.environ["PROJECT_ROOT"]
    # A host that begins with a dot stands for all names below it. Earlier releases know none but the domain.
    hosts = os.environ.get("PROJECT_HOSTS") or os.environ["PROJECT_DOMAIN"]
    refused = [
        host
        for host in hosts.split()
        if not validate_host(f"any{host}" if host[0] == "." else host, settings.ALLOWED_HOSTS)
    ]
    if settings.DEBUG:
        raise Refused(
            "DEBUG is on, which shows code and settings to every visitor: turn it off in the settings, or with "
            "`application_settings: {DEBUG: false}`."
        )
    if refused:
        raise Refused(
            f"ALLOWED_HOSTS lacks {', '.join(refused)}, so Django refuses every request: add it to the settings or to "
            "the environment that they read, or write "
            '`application_settings: {ALLOWED_HOSTS: "{{ application_allowed_hosts }}"}`.'
        )
    for alias, database in settings.DATABASES.items():
        name = str(database.get("NAME") or "")
        if "sqlite" not in database.get("ENGINE", "") or not name or ":memory:" in name:
            continue
        if not Path(name).is_absolute():
            raise Refused(
                f"The database {alias} is the relative path {name}, another file in each folder that a command is "
                f'typed in: write an absolute path, such as BASE_DIR / "{name}".'
            )
        if not outlives_releases(Path(name), root):
            raise Refused(
                f"The database {alias} is the file {name}, in a folder that each release replaces: keep it with "
                f"`application_persistent_paths: [{Path(name).name}]` if it lies in the project, or below {root}/data."
            )
    require_media(root)


def require_media(root: str) -> None:
    """Refuse a folder of uploads that no process may write, where the first upload would fail."""
    from django.conf import settings
    from django.core.files.storage import FileSystemStorage
    from django.utils.module_loading import import_string

    # Django had DEFAULT_FILE_STORAGE before 4.2. A storage of another kind keeps uploads elsewhere.
    named = settings.STORAGES.get("default", {}) if hasattr(settings, "STORAGES") else {}
    storage = named.get("BACKEND") or getattr(settings, "DEFAULT_FILE_STORAGE", "")
    if not settings.MEDIA_ROOT or not storage or not issubclass(import_string(storage), FileSystemStorage):
        return
    media, release = Path(settings.MEDIA_ROOT).resolve(), Path.cwd().resolve()
    if media.is_relative_to(f"{root}/media") or (outlives_releases(media, root) and is_writable(media)):
        return
    is_inner = release in media.parents
    wanted = f"`application_media_folder: {media.relative_to(release) if is_inner else 'media'}`"
    raise Refused(
        f"MEDIA_ROOT is {settings.MEDIA_ROOT}, which no process may write, so that every upload fails: keep it with "
        f"{wanted}{'' if is_inner else ', and let MEDIA_ROOT be the folder media of the project'}."
    )


def is_writable(path: Path) -> bool:
    """Whether this user may write into a folder, or make it."""
    nearest = next(each for each in (path, *path.parents) if os.path.exists(each))
    return os.access(nearest, os.W_OK)


def outlives_releases(path: Path, root: str) -> bool:
    """Whether a path lies where releases do not replace it."""
    release, real = Path.cwd().resolve(), path.resolve()
    return not real.is_relative_to(release) and (not real.is_relative_to(root) or real.is_relative_to(f"{root}/data"))


def check() -> Json:
    """Errors stop the release; warnings are shown, since a project may have its reasons."""
    from django.core import checks

    require_settings()
    problems = [each for each in checks.run_checks(include_deployment_checks=True) if not each.is_silenced()]
    errors = [each for each in problems if each.is_serious(checks.ERROR)]
    if errors:
        raise Refused("\n".join(["Django's checks find errors:", *map(str, errors)]))
    warnings = [each for each in problems if each.is_serious(checks.WARNING) and each.id not in PROXY_DOES]
    sentences = [" ".join(f"{each.id}: {each.msg}".split()) for each in warnings]
    return {**plan(), "warnings": sentences}


def collect() -> None:
    """Collect the static files into the release; a project that says nowhere where gets the usual folder."""
    from django.conf import settings
    from django.core.management import call_command, get_commands

    if "collectstatic" not in get_commands():
        return
    folder = Path(os.environ["STATIC_FOLDER"]).resolve()
    if not settings.STATIC_ROOT:
        settings.STATIC_ROOT = str(folder)
    elif Path(settings.STATIC_ROOT).resolve() != folder:
        raise Refused(
            f"STATIC_ROOT is {settings.STATIC_ROOT}, and application_static_folder is {os.environ['STATIC_FOLDER']}: "
            "name the same folder in both, in the project."
        )
    call_command("collectstatic", interactive=False, verbosity=0)


def build() -> Json:
    require_settings()
    collect()
    return check()


def migrate() -> Json:
    with alone() as holder:
        state = executor()
        todo = pending(state)
        if todo:
            own = Path("bin/release")
            command = [str(own)] if own.exists() else manage()
            apply(holder, state, [(migration, False) for migration in todo], [command])
    return {"applied": [label(migration) for migration in todo]}


def targets() -> list[tuple[str, str | None]]:
    pairs = (pair.split("=") for pair in os.environ["TARGETS"].split())
    return [(app, None if name == "zero" else name) for app, name in pairs]


def reversible() -> Json:
    steps = executor().migration_plan(targets())
    for migration, _ in steps:
        for operation in migration.operations:
            if not operation.reversible:
                raise Refused(f"{label(migration)} cannot be reversed: {operation.describe()} has no way back.")
    return {"reversed": [label(migration) for migration, _ in steps]}


def reverse() -> Json:
    with alone() as holder:
        answer = reversible()
        state = executor()
        commands = [manage(app, name or "zero") for app, name in targets()]
        apply(holder, state, state.migration_plan(targets()), commands)
    return answer


STEPS: dict[str, Callable[[], Json]] = {
    "build": build,
    "check": check,
    "plan": plan,
    "migrate": migrate,
    "reversible": reversible,
    "reverse": reverse,
}


def location(error: BaseException) -> str:
    """Where in the project's own files it happened, as " (file:line)"; the whole trace where it was in none."""
    own = Path.cwd()
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if Path(frame.filename).is_relative_to(own) and ".venv" not in frame.filename]
    if not mine:
        traceback.print_exception(error)
        return ""
    return f" ({Path(mine[-1].filename).relative_to(own)}:{mine[-1].lineno})"


def missing_package(what: str, error: ModuleNotFoundError) -> Refused:
    return Refused(
        f"{what}{location(error)} must have the package of {error.name}, which is not installed: add it to the "
        "file that application_requirements_file names."
    )


def load() -> None:
    """Import the settings; what they lack is named with the line that needs it."""
    name = os.environ.get("PROJECT_SETTINGS_MODULE") or os.environ["DJANGO_SETTINGS_MODULE"]
    try:
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise Refused(
                f"There is no settings module {name}: name the project's in application_settings_module."
            ) from error
        raise missing_package(f"The settings {name}", error) from error
    except KeyError as error:
        raise Refused(
            f"The settings {name}{location(error)} miss {error}: if that is an environment variable, set it in "
            "application_environment."
        ) from error
    # Each library has errors of its own for a value that is missing or malformed.
    except Exception as error:
        raise Refused(
            f"The settings {name}{location(error)} cannot be imported: {error}. What they read from the environment is "
            "set in application_environment."
        ) from error


def main() -> None:
    # The answer alone goes to standard output, whatever the project prints.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    import django
    from django.conf import settings

    try:
        load()
        # What settings import may have asked for them, and got the half that was there.
        settings._setup()
        django.setup()
        logging.disable(logging.INFO)
        found = STEPS[os.environ["STEP"]]()
    except Refused as refused:
        found = {"refused": str(refused)}
    except ModuleNotFoundError as error:
        found = {"refused": str(missing_package("The project", error))}
    print(json.dumps(found), file=answer, flush=True)
    # For the journal too.
    sys.exit(found.get("refused"))


if __name__ == "__main__":
    main()
