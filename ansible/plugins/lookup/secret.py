"""Look up a generated secret of the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.secret import secret

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


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: object) -> list[str]:
        folder = (variables or {}).get("inventory_dir")
        if not folder:
            raise AnsibleError("A generated secret needs an inventory folder to live in: pass -i inventories/<name>.")
        try:
            return [secret(Path(folder) / ".secrets", name) for name in terms]
        except UserError as refusal:
            raise AnsibleError(str(refusal)) from refusal
