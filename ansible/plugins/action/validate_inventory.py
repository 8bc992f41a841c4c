"""Check every value that an inventory sets, before any host is touched, and report all that is wrong at once.

One task, anywhere in a play without facts, checks all hosts; it runs on the controller, opens no connection and
changes nothing. It reads what roles accept from `roles/*/meta/argument_specs.yml`. Beyond types and choices, the end
of a variable's name is a promise about its value: module_utils/inventory/conventions.py lists them. A value whose
option says `no_log: true` is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible_collections.slipway.host.plugins.module_utils.inventory import sentences
from ansible_collections.slipway.host.plugins.module_utils.inventory.hooks import describe_hooks
from ansible_collections.slipway.host.plugins.module_utils.inventory.places import brief, find
from ansible_collections.slipway.host.plugins.module_utils.inventory.specs import (
    read_prefixes,
    read_process_groups,
    read_specs,
)

ROOT = Path(__file__).resolve().parents[3]


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        self.specs, self.prefixes = read_specs(ROOT), read_prefixes(ROOT)
        self.process_groups = read_process_groups(ROOT)
        self.hostvars, groups = task_vars["hostvars"], task_vars["groups"]
        self.defaults: dict[str, Any] = {}
        for path in sorted(ROOT.glob("roles/*/defaults/main.yml")):
            self.defaults |= self._loader.load_from_file(str(path), trusted_as_template=True) or {}
        found: dict[str, list[str]] = {}
        seen: set[str] = set()
        folder = Path.cwd()
        for host in groups["all"]:
            variables = self.hostvars.raw_get(host)
            folder = Path(variables.get("inventory_dir") or Path.cwd())
            seen |= set(variables)
            for sentence in self.problems(host, variables, folder):
                found.setdefault(sentence, []).append(host)
        for name, (file, option) in self.specs.items():
            used = any(groups.get(group) for group in self.groups_of(file))
            if used and option.get("required") and name not in seen:
                found[sentences.describe_missing(name, file, option, brief(folder))] = groups["all"]
        lines = [
            line if len(hosts) == len(groups["all"]) else f"{line} (On {', '.join(hosts)}.)"
            for line, hosts in found.items()
        ]
        if lines:
            message = "\n- ".join(["The inventory needs a change:", *lines])
            result |= {"failed": True, "problems": lines, "msg": message}
        return {**result, "changed": False}

    def groups_of(self, role: str) -> list[str]:
        """Where a role runs; what the others need, every host does."""
        processes = {"application": self.process_groups, "release": self.process_groups}
        services = {"broker": ["broker"], "cache": ["cache"], "postgresql": ["database"]}
        return {**processes, **services}.get(role, ["all"])

    def problems(self, host: str, variables: Mapping[str, Any], folder: Path) -> Iterator[str]:
        """Sentences about what `host` gets from its inventory."""
        place = partial(find, folder=folder, host=host, groups=variables["group_names"])
        # No facts yet: what needs them fails here by that name, and the role checks it when the host is known.
        known = {name: value for name, value in variables.items() if name != "ansible_facts"}
        templar = Templar(loader=self._loader, variables={**self.defaults, **known, "hostvars": self.hostvars})
        valid: dict[str, Any] = {name: self.defaults[name] for name in sentences.PORTS}
        for name, raw in sorted(variables.items()):
            where = partial(place, name)
            if name not in self.specs:
                if sentence := sentences.describe_unknown(name, self.specs, self.prefixes, where):
                    yield sentence
                continue
            if raw is None and self.defaults.get(name, "") is None:
                continue
            _, option = self.specs[name]
            try:
                value = templar.template(raw)
            except AnsibleError as error:
                if "'ansible_facts' is undefined" not in str(error):
                    yield sentences.describe_failure(name, option, error, where, brief(folder))
                continue
            if sentence := sentences.describe_value(name, option, value, where):
                yield sentence
            else:
                valid[name] = value
        yield from sentences.describe_own_broker(variables, valid, partial(place, "application_broker_url"))
        if set(self.process_groups) & set(variables["group_names"]):
            yield from sentences.describe_unused(variables, valid, brief(folder))
        yield from sentences.describe_login(variables, valid, partial(place, "ansible_user"))
        yield from describe_hooks(Path(valid.get("release_hooks_path") or folder / "hooks"), self._loader)
        yield from sentences.describe_frontends(valid, partial(place, "project_frontends"))
        yield from sentences.describe_names(valid, place)
        yield from sentences.describe_ports(valid, partial(place, "project_https?_port"))
        web_hosts = len(variables["groups"].get("web", []))
        yield from sentences.describe_proxies(valid, web_hosts, partial(place, "nginx_proxy_protocol_enabled"))
