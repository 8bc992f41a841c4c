"""Grade the hosts of an inventory, print one table, and fail where one row does not hold."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import inventory as testinfra_inventory
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from grade import application, network, page, system, web
from grade.row import Row, table
from grade.target import Target

Grader = Callable[[Target], Iterator[Row]]
WEB: dict[str, Grader] = {
    "testssl": web.testssl,
    "observatory": web.observatory,
    "schemathesis": application.schemathesis,
    "sqlmap": application.sqlmap,
    "django": application.django,
}
EVERY: dict[str, Grader] = {
    "ssh-audit": network.ssh_audit,
    "nmap": network.nmap,
    "lynis": system.lynis,
    "openscap": system.openscap,
    "systemd": system.exposure,
    "baseline": application.baseline,
}
# What does more than ask.
ATTACKS = ("schemathesis", "sqlmap", "nmap")


def chosen(only: str, folder: Path) -> list[str]:
    """The graders to run: all whose name has `only`; what attacks, for hosts of this machine alone."""
    names = [name for name in [*WEB, *EVERY] if only in name]
    if not names:
        raise UserError(f"K is {only}, which no grader has in its name: write one of {', '.join([*WEB, *EVERY])}.")
    if (folder / "machines.yml").exists():
        return names
    attacks = ", ".join(name for name in names if name in ATTACKS)
    if allowed := [name for name in names if name not in ATTACKS]:
        print(f"Left out, as it attacks and {folder} has no hosts of this machine: {attacks}.", file=sys.stderr)
        return allowed
    raise UserError(f"Only hosts that this machine booted are attacked by {attacks}: leave ENV out, after `make up`.")


def targets(folder: Path, limit: str, sockets: str) -> list[Target]:
    found = [Target(host, str(folder)) for host in testinfra_inventory.machines(str(folder), limit or "all", sockets)]
    for target in found:
        try:
            target.host.check_output("true")
        except (AssertionError, RuntimeError):
            raise UserError(
                f"{target.name} of {folder} does not let us in as root: type `make up`, or see `make status`."
            ) from None
    return found


def grade(names: list[str], hosts: list[Target]) -> Iterator[Row]:
    for name in names:
        for target in hosts:
            if name in EVERY or target.serves:
                print(f"{name} of {target.name}", file=sys.stderr, flush=True)
                yield from (WEB | EVERY)[name](target)


def main() -> int:
    parser = argparse.ArgumentParser(prog="grade", description=__doc__)
    parser.add_argument("inventory", type=Path)
    parser.add_argument("--limit", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--save", action="store_true", help="also write the table into docs/security.md")
    arguments = parser.parse_args()
    sockets = tempfile.mkdtemp(prefix="slipway-")
    try:
        names = chosen(arguments.only, arguments.inventory)
        hosts = targets(arguments.inventory, arguments.limit, sockets)
        rows = list(grade(names, hosts))
        print(table(rows))
        if arguments.save:
            page.save(rows, hosts)
        return 0 if all(row.holds for row in rows) else 1
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        testinfra_inventory.hang_up(sockets)
        shutil.rmtree(sockets, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
