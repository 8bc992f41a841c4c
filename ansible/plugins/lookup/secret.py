"""Look up a generated secret of the inventory."""

import os
import secrets
import string
import tempfile
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: secret
short_description: Look up a generated secret of the inventory
description:
  - Returns the content of C(.secrets/NAME) in the inventory's folder, and generates it when it is not there.
  - A name that ends in C(_url) is never generated.
  - The file appears whole or not at all, so a killed run leaves neither an empty secret nor a lock.
options:
  _terms: {description: Names of the secrets., required: true}
author: Slipway contributors
"""

LENGTH = 50
ALPHABET = string.ascii_letters + string.digits


def secret(folder, name, value=None):
    """Read the secret `name` in `folder`; when there is none, keep `value` as it first, or generate one."""
    path = folder / name
    if not path.exists():
        if name.endswith("_url") and not value:
            raise AnsibleError(
                f"{path} is missing, and a URL cannot be generated: put the URL into {path}, or copy the file from "
                "the machine where the inventory was written."
            )
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as draft:
            draft.write(value or "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))
        # Whoever links first has made the secret; the others read it.
        try:
            os.link(draft.name, path)
        except FileExistsError:
            pass
        except OSError:
            # A folder that VirtualBox shares has no links.
            os.rename(draft.name, path)
        Path(draft.name).unlink(missing_ok=True)
    return path.read_text().strip()


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        folder = (variables or {}).get("inventory_dir")
        if not folder:
            raise AnsibleError("A generated secret needs an inventory folder to live in: pass -i inventories/<name>.")
        return [secret(Path(folder) / ".secrets", name) for name in terms]
