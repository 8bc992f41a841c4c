"""What a person may say about a project, what each answer must be, and questions on a terminal."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.inventory import network, rules
from ansible_collections.slipway.host.plugins.module_utils.inventory.rules import Rule

MODULE = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
RULES = {
    "name": rules.NAME,
    "domain": network.DOMAIN,
    "host": network.HOST,
    "folder": Rule(
        lambda value: not Path(value).is_absolute() and ".." not in Path(value).parts,
        "it must be a path below SOURCE",
        "src",
    ),
    "settings": Rule(
        lambda value: bool(re.fullmatch(MODULE, value)),
        "it must be a module with dots, and no file",
        "config.settings.production",
    ),
    "entry": Rule(
        lambda value: bool(re.fullmatch(rf"{MODULE}:\w+", value)),
        "it must be a module and the name of the application in it",
        "config.wsgi:application",
    ),
    "celery": Rule(
        lambda value: bool(re.fullmatch(rf"{MODULE}(:\w+)?", value)),
        "it must be a module with dots, and no file",
        "config.celery_app",
    ),
    "requirements": rules.REQUIREMENTS,
    "database": network.DATABASE,
    "broker": network.BROKER,
    "health": rules.HEALTH_PATH,
}


@dataclass(frozen=True)
class Options:
    """What was said on the command line or asked. None is for the project's files to say."""

    name: str
    domain: str
    source: str
    host: str
    inventories: Path
    folder: str | None = None
    settings: str | None = None
    entry: str | None = None
    celery: str | None = None
    requirements: str | None = None
    database: str | None = None
    broker: str | None = None
    health: str = ""


def unfit(option: str, value: str) -> str | None:
    """A sentence about a value that an option cannot have, or None. It does not show it, since URLs have passwords."""
    rule = RULES.get(option)
    if rule is None or rule.accepts(value):
        return None
    return f"{option.upper()} does not fit: {rule.words}, for example {option.upper()}={rule.example}."


def ask(what: str, option: str) -> str:
    """A person's answer that fits, or a refusal that names the option."""
    unknown = UserError(f"{what} is not known: give {option.upper()}=... (--{option}).")
    if not sys.stdin.isatty():
        raise unknown
    while True:
        try:
            answer = input(f"{what}: ").strip()
        except EOFError:
            print()
            raise unknown from None
        if not answer:
            raise unknown
        if not (sentence := unfit(option, answer)):
            return answer
        print(sentence)
