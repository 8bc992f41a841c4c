#!/usr/bin/python
"""Bring a release of a Django project to a host, step by step, so that every step can fail without harm."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.release.engine import take_step
from ansible_collections.slipway.host.plugins.module_utils.release.host import Host
from ansible_collections.slipway.host.plugins.module_utils.release.model import (
    REQUIRED_IF,
    Project,
    Request,
    project_spec,
    spec,
)

DOCUMENTATION = r"""
module: release
short_description: Bring a release to a host, or back, without losing a request
description:
  - Two slots, blue and green, each link to a release and to an environment file. C(current) links to the slot that
    serves. The idle slot is pointed at the wanted release, started and asked for its readiness through its own
    socket; then C(current) is replaced in one rename, the slot is watched for a time of grace, the old slot's queue
    runs empty and its processes stop.
  - Whatever fails before the rename leaves the running slot untouched, and what fails in the time of grace gives it
    the traffic back. What a killed run left is cleared up when the next one begins.
extends_documentation_fragment: slipway.host.release
author: Slipway contributors
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={**spec(Request), "project": project_spec()}, required_if=REQUIRED_IF, supports_check_mode=True
    )
    # The processes that serve requests get the processor before builds do.
    os.nice(5)
    # The project's user reads what is built here, whatever the umask of who logged in.
    os.umask(0o022)
    parameters = {name: value for name, value in module.params.items() if value is not None}
    project = Project(**parameters.pop("project"))
    request = Request(check_mode=module.check_mode, **parameters)
    try:
        result = take_step(Host(project), request)
    except UserError as refusal:
        module.fail_json(msg=str(refusal), journal=refusal.journal)
    except OSError as problem:
        module.fail_json(msg=f"{problem.strerror or problem}: {problem.filename or project.root}.", journal=[])
    for warning in result.pop("warnings", []):
        module.warn(warning)
    module.exit_json(**{"changed": False, **result})


if __name__ == "__main__":
    main()
