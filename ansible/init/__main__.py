"""Start it as a command: python -m init --name shop --domain shop.example --source ../shop."""

import sys

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.cli import main

try:
    main(sys.argv[1:])
except UserError as refusal:
    sys.exit(f"{refusal} Nothing was written.")
except KeyboardInterrupt:
    sys.exit("\nNothing was written.")
