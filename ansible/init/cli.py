"""From a command line to an inventory, and what is said about it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.inventory.places import brief

import init
from init.inventory import Inventory, describe
from init.neighbours import has_domain, namesake
from init.options import RULES, Options, ask, unfit
from init.source import open_source
from init.write import write

INVENTORIES = Path(__file__).resolve().parents[2] / "inventories"


def main(words: Sequence[str]) -> None:
    given = arguments(words)
    for option in RULES:
        value = getattr(given, option)
        if value and (sentence := unfit(option, value)):
            raise UserError(sentence)
    options = complete(given)
    target = options.inventories / options.name
    with open_source(options.source, options.folder) as source:
        inventory = describe(options, source)
    report(inventory, write(inventory, target), brief(target))


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="init", description=(init.__doc__ or "").splitlines()[0])
    parser.add_argument("--name", help="short lower-case name of the project, and of its inventory")
    parser.add_argument("--domain", help="the host name under which people reach it")
    parser.add_argument("--source", help="its git checkout, or the address of a repository")
    parser.add_argument("--folder", help="folder of the source with manage.py in it")
    parser.add_argument("--host", help="where it will run: a name or an address; the domain if not given")
    parser.add_argument("--settings", help="Django's settings module for servers")
    parser.add_argument("--entry", help="the WSGI or ASGI application, as module:name")
    parser.add_argument("--celery", help="the module with the Celery app")
    parser.add_argument("--requirements", help="uv.lock, poetry.lock, requirements.txt or pyproject.toml")
    parser.add_argument("--health", default="", help="path that answers 200 when the project is ready")
    parser.add_argument("--database", help="URL of a database that exists already")
    parser.add_argument("--inventories", type=Path, default=INVENTORIES, help="folder to write it into")
    parser.add_argument("--broker", help="URL of a broker that exists already")
    # An empty option is one that make was not given.
    return parser.parse_args([word for word in words if not re.fullmatch(r"--\w+=", word)])


def complete(given: argparse.Namespace) -> Options:
    """The options with what must be asked, or a refusal of those that collide with another inventory."""
    name = given.name or ask("The project's name", "name")
    target = given.inventories / name
    if target.exists():
        raise UserError(f"{brief(target)} exists, and nothing is replaced: edit it, or give another NAME=....")
    domain = given.domain or ask("The domain", "domain")
    if has_domain(given.inventories, domain):
        raise UserError(f"Another inventory has the domain {domain}: give each its own with DOMAIN=....")
    host = given.host or domain
    if other := namesake(given.inventories, name, host):
        raise UserError(f"{brief(other)} runs a project {name} on {host} already: give another NAME=....")
    source = given.source or ask("The project's git checkout", "source")
    return Options(**{**vars(given), "name": name, "domain": domain, "host": host, "source": source})


def report(inventory: Inventory, files: Sequence[str], place: Path) -> None:
    part = inventory.part
    print(f"Wrote {place}: {', '.join(files)}; secrets are in its .secrets/.\n")
    print(f"  settings      {inventory.settings}")
    print(f"  requirements  {inventory.requirements}")
    for process in part.processes:
        print(f"  {process['name']:<13} {process['command']}")
    for note in part.notes:
        print(f"\n{note}")
    if part.missing:
        names = "\n".join(f"  {variable}  ({where})" for variable, where in part.missing)
        file = f"{place}/group_vars/all/application.yml"
        print(f"\nThe settings also need these variables; set them in application_environment, in {file}:\n{names}")
    if part.defaults:
        names = "\n".join(f"  {variable}  ({where})" for variable, where in part.defaults)
        print(f"\nThe defaults of these variables lead to another machine; set those that your hosts use:\n{names}")
    print(f"\nName your administrators in {place}/group_vars/all/project.yml and the host in hosts.yml, then:")
    print(f"\n  make provision ENV={inventory.options.name}")
