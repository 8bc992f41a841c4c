"""Take one step of a release on a host: say who asks, bring the files, wait for a lock that somebody else has."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.slipway.host.plugins.module_utils.release.owner import is_dead, owner

display = Display()
PAUSE_SECONDS = 1


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = {**self._task.args, "owner": owner()}
        wait_seconds = int(arguments.pop("lock_wait_seconds", 0))
        for option in ("archive", "frontends"):
            if path := arguments.get(option):
                arguments[option] = self._transfer(path, f"{option}.tar.gz")
        deadline = time.monotonic() + wait_seconds
        announced = False
        while True:
            result = self._execute_module("slipway.host.release", module_args=arguments, task_vars=variables)
            holder = result.get("held")
            if not holder:
                return with_warnings(result, variables["inventory_hostname"])
            lock = f"{holder['who']} has locked {variables['inventory_hostname']}"
            since = f"{lock} since {holder['since']}: {holder['what']}"
            token = holder.get("token")
            if token and is_dead(token):
                arguments["break_token"] = token
                continue
            if time.monotonic() > deadline:
                way = "Wait for it, or free the lock with `make unlock`" if token else "Wait until it ends"
                return {"failed": True, "msg": f"{since}. {way}. Nothing was changed."}
            if not announced:
                display.display(f"\n  {since}. Waiting up to {wait_seconds} s.")
                announced = True
            time.sleep(PAUSE_SECONDS)

    def _transfer(self, path: str, name: str) -> str:
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        return str(self._transfer_file(path, self._connection._shell.join_path(self._connection._shell.tmpdir, name)))


def with_warnings(result: dict[str, Any], host: str) -> dict[str, Any]:
    """What was cleared up behind a killed run is shown as warnings."""
    warnings = [f"On {host}, {recovery}." for recovery in result.pop("recovered", [])]
    return {**result, "warnings": [*result.get("warnings", []), *warnings]} if warnings else result
