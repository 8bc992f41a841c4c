"""The options of the module release, for `ansible-doc`, from the fields that they are."""

from __future__ import annotations

import yaml
from ansible_collections.slipway.host.plugins.module_utils.release.model import Project, Request, options

PROJECT = {
    "type": "dict",
    "required": True,
    "description": "What stays the same from step to step.",
    "options": options(Project),
}


class ModuleDocFragment:
    DOCUMENTATION = yaml.safe_dump({"options": {**options(Request), "project": PROJECT}})
