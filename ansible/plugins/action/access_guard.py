"""Prove that the next run can log in, with a connection of its own, before a change of who may log in stays."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# Not over the connection that is open already, which sshd does not ask about again.
NEW_CONNECTION = "-o ControlMaster=no -o ControlPath=none -o BatchMode=yes -o ConnectTimeout=10"
PAUSE_SECONDS = 15


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self.variables = task_vars or {}
        if self._task.args["state"] != "proven":
            return self._guard(self._task.args["state"])
        found = self._guard("read")
        if found.get("failed") or self._task.check_mode:
            return found
        if not found["armed"]:
            self._guard("restored")
            return {"failed": True, "msg": TOO_LATE}
        if not found["differs"]:
            return self._guard("disarmed")
        answers = []
        for user in candidates(self.variables, self._task.args.get("users", [])):
            refusal = self._log_in(user)
            if refusal and "Permission denied" not in refusal:
                # Since OpenSSH 9.8, sshd makes an address wait that failed to log in.
                time.sleep(PAUSE_SECONDS)
                refusal = self._log_in(user)
            if refusal is None:
                return {**self._guard("disarmed"), **warning(self.variables, user)}
            answers.append(f"{user or 'the user that ssh chooses'}: {refusal}")
        self._guard("restored")
        return {"failed": True, "msg": refused(self.variables, answers)}

    def _guard(self, state: str) -> dict[str, Any]:
        arguments = {**self._task.args, "state": state}
        answer: dict[str, Any] = self._execute_module(
            "slipway.host.access_guard", module_args=arguments, task_vars=self.variables
        )
        return answer

    def _log_in(self, user: str) -> str | None:
        """Why nobody can log in and become root with a new connection; None where it works."""
        if self._connection.transport != "ssh":
            return None
        before = {
            name: self._connection.get_option(name) for name in ("remote_user", "ssh_args", "reconnection_retries")
        }
        new = {"remote_user": user or None, "ssh_args": NEW_CONNECTION, "reconnection_retries": 0}
        try:
            for name, value in new.items():
                self._connection.set_option(name, value)
            answer = self._low_level_execute_command("id -u", sudoable=True)
        except AnsibleError as problem:
            return " ".join(str(problem).split())
        finally:
            for name, value in before.items():
                self._connection.set_option(name, value)
            # Who is root already is not asked for a password, and nobody else's is expected.
            self._connection.become.prompt = self._connection.become.success = ""
        return not_root(answer)


TOO_LATE = (
    "This run took so long that the host has brought back who could log in before it. Run it again, nearer to the host "
    "or when the network is faster."
)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def not_root(answer: dict[str, Any]) -> str | None:
    """Why `id -u` was not asked as root; None where it was."""
    if answer["rc"] == 0:
        # What a login prints comes before it.
        number = last_line(answer["stdout"])
        return None if number == "0" else f"logged in, and is user {number} instead of root"
    return last_line(answer["stderr"] or answer["stdout"]) or f"exit code {answer['rc']}"


def candidates(variables: dict[str, Any], administrators: list[str]) -> list[str]:
    """Who may prove it: whoever the next run logs in as. An empty name is the one that ssh chooses."""
    if named := variables.get("ansible_user"):
        return [str(named)]
    # This run alone logs in as somebody else (LOGIN=root).
    return ["", *administrators] if variables.get("ansible_ssh_user") else [""]


def warning(variables: dict[str, Any], user: str) -> dict[str, list[str]]:
    """What to change before the next run, where it would log in as somebody who cannot."""
    if variables.get("ansible_user") or not user:
        return {}
    return {
        "warnings": [f"The next run must log in as {user}: write `ansible_user: {user}` in group_vars/all/ansible.yml."]
    }


def refused(variables: dict[str, Any], answers: list[str]) -> str:
    return (
        f"After this change nobody could log in to {variables['inventory_hostname']} with a new connection and become "
        f"root ({'; '.join(answers)}). Who could log in before can again. Check that project_admins has your own "
        "public key, that ansible_user is one of them, and that firewall_ssh_port is the port that sshd listens on."
    )
