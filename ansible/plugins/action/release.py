"""Take one step of a release on a host: say who asks, bring the files, wait for a lock that somebody else has."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.slipway.host.plugins.module_utils.release.owner import is_dead, owner

display = Display()
PAUSE_SECONDS = 1


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "owner": owner()}
        host = task_vars["inventory_hostname"]
        wait_seconds = int(arguments.pop("lock_wait_seconds", 0))
        if archive := arguments.get("archive"):
            self._make_tmp_path()
            there = self._connection._shell.join_path(self._connection._shell.tmpdir, "release.tar.gz")
            arguments["archive"] = self._transfer_file(archive, there)
        deadline = time.monotonic() + wait_seconds
        told = False
        while True:
            result = self._execute_module(
                module_name="slipway.host.release", module_args=arguments, task_vars=task_vars
            )
            holder = result.get("held")
            if not holder:
                warnings = [f"On {host}, {what}." for what in result.pop("recovered", [])]
                return {**result, "warnings": [*result.get("warnings", []), *warnings]} if warnings else result
            since = f"{holder['who']} has locked {host} since {holder['since']}: {holder['what']}"
            token = holder.get("token")
            if token and is_dead(token):
                arguments["break_token"] = token
                continue
            if time.monotonic() > deadline:
                way = "Wait for it, or free the lock with `make unlock`" if token else "Wait until it ends"
                return {"failed": True, "msg": f"{since}. {way}. Nothing was changed."}
            if not told:
                display.display(f"\n  {since}. Waiting up to {wait_seconds} s.")
                told = True
            time.sleep(PAUSE_SECONDS)
