"""Boot the hosts of an inventory on this machine, or remove them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from lab.controller import require_controller
from lab.inventory import Inventory


def main() -> None:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("inventory", type=Path)
    arguments = parser.parse_args()
    try:
        require_controller()
        inventory = Inventory(arguments.inventory)
        if arguments.verb == "up":
            inventory.up()
        else:
            inventory.down()
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
