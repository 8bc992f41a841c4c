#!/usr/bin/python
"""Bring back who could log in to a host, unless a new login proves that a change is good."""

from __future__ import annotations

import inspect

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.host.plugins.module_utils import access

DOCUMENTATION = r"""
module: access_guard
short_description: Bring back who could log in to a host, unless a new login proves that a change is good
description:
  - Before a change of sshd, keys, sudo or the firewall, C(armed) remembers them and starts a timer on the host. The
    timer brings them back after O(seconds), also when the controller has died.
  - After the change, C(proven) opens a new connection as whoever the next run will log in as, and becomes root. Then
    the change stays. When no login succeeds, what was is brought back at once and the task fails with the reason.
  - Where nothing has changed, no connection is opened.
options:
  state: {type: str, required: true, choices: [armed, read, proven, disarmed, restored], description: What to do.}
  users: {type: list, elements: str, default: [], description: Administrators. Their keys are guarded; they may prove.}
  seconds: {type: int, default: 55, description: How long the host waits for the proof.}
author: Slipway contributors
"""


def main() -> None:
    spec = {
        "state": {"type": "str", "required": True, "choices": ["armed", "read", "proven", "disarmed", "restored"]},
        "users": {"type": "list", "elements": "str", "default": []},
        "seconds": {"type": "int", "default": 55},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    guard, state = access.Guard(), module.params["state"]
    if module.check_mode:
        module.exit_json(changed=False, differs=False)
    try:
        if state == "armed":
            guard.arm(inspect.getsource(access), ["root", *module.params["users"]], module.params["seconds"])
        elif state == "disarmed":
            guard.disarm()
        elif state == "restored":
            guard.restore()
        module.exit_json(changed=state == "restored", differs=guard.is_changed(), armed=guard.is_armed())
    except OSError as problem:
        module.fail_json(msg=f"{problem.strerror or problem}: {problem.filename or guard.folder}.")


if __name__ == "__main__":
    main()
