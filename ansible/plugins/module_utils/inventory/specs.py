"""What the roles accept, and whether a value is that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import ArgumentTypeError, ElementError
from ansible_collections.slipway.host.plugins.module_utils.inventory.conventions import convention

# An option as argument_specs.yml describes it.
Option = Mapping[str, Any]
WORDS = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "an absolute path",
    "str": "text; quote what YAML would read as something else",
}
SHAPES: dict[str, Any] = {"list": list, "dict": dict, "path": str, "str": (str, int, float)}


def read_specs(root: Path) -> dict[str, tuple[str, Option]]:
    """Every option by name: {name: (the file in group_vars/all that sets it, option)}."""
    specs: dict[str, tuple[str, Option]] = {}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options") or {}
        specs |= {name: (path.parts[-3], option) for name, option in options.items()}
    # What plays hand over is nobody's to set.
    handed_over = read_handover(root)
    return {name: spec for name, spec in specs.items() if name not in handed_over}


def read_handover(root: Path) -> dict[str, Any]:
    handover: dict[str, Any] = yaml.safe_load((root / "ansible/vars/handover.yml").read_text())
    return handover


def read_process_groups(root: Path) -> list[str]:
    """The groups whose hosts run the project's processes."""
    return list(read_handover(root)["__process_groups"])


def read_prefixes(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("roles/*") if path.is_dir())


def is_secret(option: Option) -> bool:
    return bool(option.get("no_log")) or any(map(is_secret, (option.get("options") or {}).values()))


def sample(name: str, option: Option) -> Any:
    """A value that would pass, to show in a message."""
    rule = convention(name)
    if option.get("no_log") and rule is None:
        return f"{{{{ vault_{name} }}}}"
    kind = option.get("type", "str")
    value: Any
    if option.get("choices"):
        value = option["choices"][0]
    elif rule is not None:
        value = rule.example
    elif option.get("options"):
        value = {key: sample(key, part) for key, part in option["options"].items() if part.get("required")}
    else:
        value = {"int": 10, "float": 0.5, "bool": True, "dict": {}}.get(kind, "example")
    return value if kind != "list" or isinstance(value, list) else [value]


def advice(name: str, option: Option) -> str:
    return f"Write for example `{name}: {json.dumps(sample(name, option), ensure_ascii=False)}`."


def broken_shape(option: Option, value: Any) -> str | None:
    """The rule that `value` breaks before any look at what it says, in words, or None."""
    kind = option.get("type", "str")
    if value is None or (option.get("required") and value in ("", [], {})):
        return "it must not be empty"
    if not isinstance(value, SHAPES.get(kind, object)) or (isinstance(value, bool) and kind in ("str", "int", "float")):
        return f"it must be {WORDS[kind]}"
    if kind == "list" and option.get("elements") == "dict" and not all(isinstance(each, dict) for each in value):
        return "each element must be a mapping"
    parts = (option.get("options") or {}) if kind == "list" else {}
    for part in (part for part, inner in parts.items() if inner.get("type") == "list"):
        # Ansible would split a text at its commas here, and the role would not.
        if not all(isinstance(each.get(part, []), list) for each in value):
            return f"{part} of each element must be a list"
    return None


def broken_rule(name: str, option: Option, value: Any) -> str | None:
    """The rule that `value` breaks, in words, or None."""
    if shape := broken_shape(option, value):
        return shape
    outcome = ArgumentSpecValidator({name: option}).validate({name: value})
    for error in outcome.errors.errors:
        if type(error) is ArgumentTypeError:
            kind = option.get("type", "str")
            return f"it must be {WORDS.get(kind, kind)}"
        if type(error) is ElementError:
            return f"each element must be {WORDS.get(option['elements'], option['elements'])}"
        return "it does not fit its specification" if is_secret(option) else str(error.msg).rstrip(".")
    rule = convention(name)
    return None if rule is None or rule.accepts(outcome.validated_parameters[name]) else rule.words
