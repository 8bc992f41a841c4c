"""Beats and workers as a server starts them, with a broker of files in a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection

from config.tests.environments import PRODUCTION

_START = """
import fcntl, os, sys
from django.conf import settings
from kombu.transport.filesystem import Channel
from styleguide_example.tasks import app
folder = sys.argv[1]
# The transport shows a message before it is written, and who reads it then fails and loses it.
def one_at_a_time(method):
    def call(*arguments, **options):
        with open(folder + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return method(*arguments, **options)
    return call
for name in ("_get", "_put"):
    setattr(Channel, name, one_at_a_time(getattr(Channel, name)))
settings.CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "/control"}
def nothing():
    pass
for name in sys.argv[2].split():
    app.task(name=name)(nothing)
# Celery prefers the variable; the settings refuse such a broker.
os.environ["CELERY_BROKER_URL"] = "filesystem://"
app.start(sys.argv[3:])
"""


# A worker takes its time to start on a machine that runs other tests too.
PATIENCE_SECONDS = 60


def wait_until(holds: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> float:
    """How long it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds
        time.sleep(0.05)
    return time.monotonic() - started


class Process:
    def __init__(self, folder: Path, *command: str, tasks: str = "", **environment: str):
        database = PRODUCTION["DATABASE_URL"].rpartition("/")[0]
        self.log = folder.with_name(f"{time.monotonic_ns()}.log")
        with self.log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(folder), tasks, "--quiet", *command],
                env={
                    "PATH": os.environ["PATH"],
                    **PRODUCTION,
                    "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
                    **environment,
                },
                cwd=settings.BASE_DIR,
                stdout=output,
                stderr=output,
            )

    def wait_for(self, event: str, *, seconds: float = PATIENCE_SECONDS, times: int = 1) -> float:
        text = f'"message": "{event}"'
        return wait_until(lambda: self.log.read_text().count(text) >= times, seconds=seconds)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.send(number)
        return self.wait()

    def wait(self) -> int:
        try:
            return self._process.wait(timeout=PATIENCE_SECONDS)
        finally:
            self._process.kill()


def messages(folder: Path, *, queue: str) -> list[dict]:
    """In the order in which they were sent; each with the time, in seconds."""
    found = sorted(folder.glob(f"*.{queue}.msg"), key=_sent_at)
    return [json.loads(path.read_text()) | {"sent_at": _sent_at(path)} for path in found]


def _sent_at(path: Path) -> float:
    return int(path.name.partition("_")[0]) / 1000
