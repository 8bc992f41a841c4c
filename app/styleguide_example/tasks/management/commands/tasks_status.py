import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from styleguide_example.tasks import app
from styleguide_example.tasks.selectors import queue_lengths


class Command(BaseCommand):
    help = "Show how many tasks wait in each queue. Succeeds also when the broker is away."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for a program to read")

    def handle(self, *args: object, **options: Any) -> None:
        queues = queue_lengths(app=app)
        self.stdout.write("\n".join(_json(queues) if options["json"] else _text(queues)))


def _json(queues: dict[str, int] | None) -> list[str]:
    return [json.dumps({"queues": queues or {}, "reachable": queues is not None})]


def _text(queues: dict[str, int] | None) -> list[str]:
    if queues is None:
        return ["The broker cannot be reached."]
    return [f"{name} {length}" for name, length in queues.items()]
