"""Decide what a release changes, from what its steps have answered on all hosts so far."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.plan import Host, Plan


class ActionModule(ActionBase):
    # Once for all hosts: a decision for each would ask for the answers of each other one.
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        hosts = [self._host(name, variables["hostvars"][name]) for name in variables["ansible_play_hosts_all"]]
        elsewhere = variables.get("__release_read_elsewhere") or {}
        plan = Plan(self._task.args["action"], hosts, elsewhere.get("results", []))
        try:
            return {"changed": False, **plan.decisions()}
        except UserError as error:
            return {"failed": True, "msg": str(error)}

    @staticmethod
    def _host(name: str, variables: Any) -> Host:
        def registered(step: str) -> dict[str, Any]:
            return variables.get(f"__release_{step}") or {}

        return Host(
            name,
            read=registered("read"),
            begun=registered("begun"),
            built=registered("built"),
            aborted=registered("aborted"),
            failed_task=(variables.get("ansible_failed_task") or {}).get("name", ""),
            failure=variables.get("ansible_failed_result"),
        )
