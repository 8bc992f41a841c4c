"""Refuse a certificate of the operator that browsers would refuse. Runs on the controller and changes nothing."""

from __future__ import annotations

import datetime
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.host.plugins.plugin_utils.certificates import problems, read_roots


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given, now = self._task.args, datetime.datetime.now(datetime.timezone.utc)
        found = list(problems(given["chain"], given["key"], given["names"], now, list(read_roots())))
        if found:
            result |= {"failed": True, "msg": f"{' '.join(found)} Nothing was changed."}
        return result
