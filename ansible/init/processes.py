"""The processes of a project: its web server, and Celery's worker and beat."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from init.code import file_of, module_name, modules, names, parse, require_module, sources, text_of
from init.options import ask
from init.packages import added
from init.part import Part, together
from init.procfile import Procfile, celery_app, find, label, option, options
from init.requirements import Requirements
from init.settings import Settings

SERVERS = ("gunicorn", "uvicorn", "daphne", "hypercorn", "granian")
DATABASE_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
COMMANDS = {
    "gunicorn": "gunicorn {} --forwarded-allow-ips '*'",
    "uvicorn": "uvicorn {} --fd 3 --proxy-headers --forwarded-allow-ips '*' --no-access-log "
    "--timeout-graceful-shutdown 30",
    "daphne": "daphne --fd 3 --proxy-headers {}",
}


class Entry(NamedTuple):
    """A WSGI or ASGI application as module:name, and which of both it is."""

    name: str
    is_asgi: bool


def web(given: str | None, settings: Settings, requirements: Requirements, procfile: Procfile) -> Part:
    """The web server's process, for the entry that was given, found or asked for."""
    folder = settings.folder
    require_module("entry", given, folder)
    text = "\n".join(map(text_of, modules(folder, "asgi")))
    sockets = "websocket" in text.lower() or bool({"channels", "daphne"} & requirements.packages)
    entry = find_entry(given or find(procfile.commands.get("web", ""), folder), settings, requirements, sockets)
    server, added = find_server(entry, requirements)
    command = COMMANDS[server].format(entry.name)
    if entry.is_asgi and server == "gunicorn":
        command += " --worker-class uvicorn_worker.UvicornWorker"
    own = Part(
        groups=["web"],
        processes=[{"name": "web", "kind": "web", "command": command}],
        nginx={"nginx_websockets_enabled": True} if entry.is_asgi and sockets else {},
    )
    return together([own, added])


def find_entry(given: str | None, settings: Settings, requirements: Requirements, sockets: bool) -> Entry:
    asgi, wsgi = usual_entry(settings, "asgi"), usual_entry(settings, "wsgi")
    name = given
    if not name:
        servers = requirements.packages.intersection(SERVERS)
        prefers_asgi = sockets or not wsgi or (servers and "gunicorn" not in servers)
        name = asgi if asgi and prefers_asgi else wsgi
    if not name:
        name = ask("The entry of the web server, such as config.wsgi:application", "entry")
        require_module("entry", name, settings.folder)
    return Entry(name, name == asgi or "asgi" in name)


def usual_entry(settings: Settings, kind: str) -> str | None:
    """The application that the settings name, or that of wsgi or asgi, as module:application, or None."""
    named = settings.literal(f"{kind.upper()}_APPLICATION")
    if isinstance(named, str):
        module, _, name = named.rpartition(".")
        if (path := file_of(module, settings.folder)) and name in names(parse(path)):
            return f"{module}:{name}"
    found = modules(settings.folder, kind)
    return f"{module_name(found[0], settings.folder)}:application" if found else None


def find_server(entry: Entry, requirements: Requirements) -> tuple[str, Part]:
    """A server that can run the entry: one that the project installs, or one that the inventory adds."""
    able = ["uvicorn", "daphne"] if entry.is_asgi else ["gunicorn"]
    if entry.is_asgi and "uvicorn-worker" in requirements.packages:
        able.append("gunicorn")
    installed = [name for name in able if name in requirements.packages]
    if installed:
        return installed[0], Part()
    wanted = "uvicorn[standard]" if entry.is_asgi else "gunicorn"
    return able[0], added(wanted, "which the process web runs", requirements)


def find_celery(given: str | None, folder: Path, procfile: Procfile) -> str | None:
    """The module with the project's Celery app, or None."""
    require_module("celery", given, folder)
    if given:
        return given
    made = re.compile(r"^\w+\s*(?::[^=]+)?=\s*(?:celery\.)?Celery\(", re.MULTILINE)
    found = (module_name(path, folder) for path in sources(folder) if made.search(text_of(path)))
    return next(found, None) or celery_app(procfile, folder)


def queue(celery: str | None, requirements: Requirements, settings: Settings, procfile: Procfile) -> Part:
    """Celery's processes: those of the Procfile, or one worker, and beat where something is scheduled."""
    if not celery:
        note = (
            f"{requirements.file} has celery, and no Celery app is found: name its module with CELERY=..., or no "
            "worker runs."
        )
        return Part(notes=[note] if "celery" in requirements.packages else [])
    start = f"celery -A {celery}"
    processes: list[dict[str, Any]] = []
    for name, theirs in (procfile.of("celery", "worker") or {"worker": f"{start} worker"}).items():
        given = options(theirs)
        own = (
            ""
            if any(word.startswith(("-c", "--concurrency")) for word in given)
            else "--concurrency $WORKER_CONCURRENCY "
        )
        rest = f"{' '.join(given)} " if given else ""
        command = f"{start} worker {rest}--hostname $WORKER_NAME {own}--loglevel $LOG_LEVEL"
        process = {
            "name": label(name, ["web", "beat", *(each["name"] for each in processes)]),
            "kind": "worker",
            "command": command,
        }
        processes.append(process | ({"count": procfile.counts[name]} if procfile.counts.get(name, 1) > 1 else {}))
    if clock := beat(start, settings, procfile):
        processes.append({"name": "beat", "kind": "beat", "command": clock})
    return Part(groups=list(dict.fromkeys(each["kind"] for each in processes)), processes=processes)


def beat(start: str, settings: Settings, procfile: Procfile) -> str | None:
    """The command of Celery's clock, or None where nothing is scheduled."""
    text = "\n".join(map(text_of, sources(settings.folder)))
    theirs = [command for command in procfile.of("celery").values() if re.search(r" beat\b| -B\b| --beat\b", command)]
    if not theirs and not re.search(r"beat_schedule|add_periodic_task|django_celery_beat", text, re.IGNORECASE):
        return None
    named = next(filter(None, (option(command, "-S", "--scheduler") for command in theirs)), None)
    # What the settings name is known to Celery; without a scheduler it keeps its schedule in a file.
    known = re.findall(r"beat_?scheduler\W+([\w.:]+)", text, re.IGNORECASE)
    is_own = bool(known) and not any("DatabaseScheduler" in each for each in known)
    if "django_celery_beat" in settings.text and not is_own:
        named = named or DATABASE_SCHEDULER
    file = "" if is_own else " --schedule /srv/{{ application_name }}/data/celerybeat-schedule"
    scheduler = f" --scheduler {named}" if named else file
    return f"{start} beat{scheduler} --loglevel $LOG_LEVEL"


def others(procfile: Procfile, taken: Collection[str]) -> Part:
    """The processes of a Procfile beside those that are `taken`, how it runs these, and what it does at a release."""
    release = {"application_release_commands": procfile.release} if procfile.release else {}
    part = Part(variables=release, notes=[*procfile.notes])
    known = {"web", *procfile.of("celery", "worker"), *procfile.of("celery", "beat")}
    theirs = [f"  {name:<13} {command}" for name, command in procfile.commands.items() if name in known]
    if theirs:
        part.notes.append(
            "\n".join(["The Procfile has these commands; add to those above what is missing and needed:", *theirs])
        )
    for name, command in procfile.commands.items():
        if name in known:
            continue
        if why := procfile.why_not(name):
            part.notes.append(f"The Procfile's {name} {why}, and does not run here: `{command}`.")
            continue
        process = {"name": label(name, [*taken, *(each["name"] for each in part.processes)]), "kind": "worker"}
        count = procfile.counts.get(name, 1)
        part.processes.append({**process, "command": command, **({"count": count} if count > 1 else {})})
        part.groups.append("worker")
    return part
