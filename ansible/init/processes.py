"""The processes of a project: its web server, and Celery's worker and beat."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from init.code import module_name, require_module, sources, text_of
from init.options import ask
from init.part import Part
from init.requirements import Requirements
from init.settings import Settings

SERVERS = ("gunicorn", "uvicorn", "daphne", "hypercorn", "granian")
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


def web(given: str | None, folder: Path, requirements: Requirements) -> Part:
    """The web server's process, for the entry that was given, found or asked for."""
    require_module("entry", given, folder)
    text = "\n".join(text_of(path) for path in sources(folder) if path.name == "asgi.py")
    sockets = "websocket" in text.lower() or bool({"channels", "daphne"} & requirements.packages)
    entry = find_entry(given, folder, requirements, sockets)
    server, notes = find_server(entry, requirements)
    command = COMMANDS[server].format(entry.name)
    if entry.is_asgi and server == "gunicorn":
        command += " --worker-class uvicorn_worker.UvicornWorker"
    return Part(
        groups=["web"],
        processes=[{"name": "web", "kind": "web", "command": command}],
        nginx={"nginx_websockets_enabled": True} if entry.is_asgi and sockets else {},
        notes=notes,
    )


def find_entry(given: str | None, folder: Path, requirements: Requirements, sockets: bool) -> Entry:
    asgi, wsgi = usual_entry(folder, "asgi"), usual_entry(folder, "wsgi")
    name = given
    if not name:
        servers = requirements.packages.intersection(SERVERS)
        prefers_asgi = sockets or not wsgi or (servers and "gunicorn" not in servers)
        name = asgi if asgi and prefers_asgi else wsgi
    if not name:
        name = ask("The entry of the web server, such as config.wsgi:application", "entry")
        require_module("entry", name, folder)
    return Entry(name, name == asgi or "asgi" in name)


def usual_entry(folder: Path, kind: str) -> str | None:
    """wsgi.py or asgi.py, as module:application, or None."""
    found = sorted((path for path in sources(folder) if path.name == f"{kind}.py"), key=lambda path: len(path.parts))
    return f"{module_name(found[0], folder)}:application" if found else None


def find_server(entry: Entry, requirements: Requirements) -> tuple[str, list[str]]:
    """A server that the project installs and that can run the entry, or a note that it installs none."""
    able = ["uvicorn", "daphne"] if entry.is_asgi else ["gunicorn"]
    if entry.is_asgi and "uvicorn-worker" in requirements.packages:
        able.append("gunicorn")
    installed = [name for name in able if name in requirements.packages]
    if installed:
        return installed[0], []
    wanted = "uvicorn[standard]" if entry.is_asgi else "gunicorn"
    note = (
        f"{requirements.file} has no {able[0]}, which the process web runs: add {wanted}, or change the command in "
        "application.yml; no host can build it before."
    )
    return able[0], [note]


def find_celery(given: str | None, folder: Path) -> str | None:
    """The module with the project's Celery app, or None."""
    require_module("celery", given, folder)
    if given:
        return given
    made = re.compile(r"^\w+\s*(?::[^=]+)?=\s*(?:celery\.)?Celery\(", re.MULTILINE)
    return next((module_name(path, folder) for path in sources(folder) if made.search(text_of(path))), None)


def queue(celery: str | None, requirements: Requirements, settings: Settings) -> Part:
    """Celery's processes."""
    if not celery:
        note = (
            f"{requirements.file} has celery, and no Celery app is found: name its module with CELERY=..., or no "
            "worker runs."
        )
        return Part(notes=[note] if "celery" in requirements.packages else [])
    start = f"celery -A {celery}"
    options = "--hostname $WORKER_NAME --concurrency $WORKER_CONCURRENCY --loglevel $LOG_LEVEL"
    processes = [{"name": "worker", "kind": "worker", "command": f"{start} worker {options}"}]
    text = "\n".join(map(text_of, sources(settings.folder)))
    if re.search(r"beat_schedule|add_periodic_task|django_celery_beat", text, re.IGNORECASE):
        data = "/srv/{{ application_name }}/data"
        schedule = "" if "django_celery_beat" in settings.text else f" --schedule {data}/celerybeat-schedule"
        # Two slots run side by side during a release: only one clock may tick.
        command = f"flock --no-fork {data}/beat.lock {start} beat{schedule} --loglevel $LOG_LEVEL"
        processes.append({"name": "beat", "kind": "beat", "command": command})
    return Part(groups=[process["name"] for process in processes], processes=processes)
