"""The options of a release are the fields of two classes, and whoever has to do with them agrees."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml
from ansible_collections.slipway.host.plugins.doc_fragments.release import ModuleDocFragment
from ansible_collections.slipway.host.plugins.module_utils.release import django, engine, model
from repository import ROOT, load

FIELDS = {field.name for field in dataclasses.fields(model.Project)}


def test_the_roles_hand_over_every_field_of_a_project() -> None:
    description = load(ROOT / "roles/application/vars/main.yml")["application_project"]
    policy = load(ROOT / "roles/release/vars/main.yml")["__release_policy"]
    assert sorted([*description, *policy]) == sorted(FIELDS)


def test_every_option_has_a_meaning() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(documented["project"]["options"]) == FIELDS
    for options in (documented, documented["project"]["options"]):
        assert all(option["description"].endswith(".") for option in options.values())


def test_every_step_can_be_asked_for() -> None:
    assert tuple(engine.STEPS) == model.STEPS


@pytest.mark.parametrize(("option", "value", "needed"), model.REQUIRED_IF)
def test_what_a_step_needs_is_an_option(option: str, value: str, needed: tuple[str, ...]) -> None:
    options = model.options(model.Request)
    assert value in options[option]["choices"]
    assert set(needed) <= set(options)


@pytest.mark.parametrize(
    ("properties", "missing"),
    [
        (
            {*django.SANDBOX, *django.APART},
            {"MemoryDenyWriteExecute", "ProcSubset", "RemoveIPC", "RestrictAddressFamilies"},
        ),
        (set(django.sandbox("shop")), {"PrivateTmp", "ProtectHome", "ProtectSystem", "RemoveIPC"}),
    ],
)
def test_a_command_has_the_sandbox_of_the_processes_but_for(properties: set[str], missing: set[str]) -> None:
    lines = (ROOT / "roles/application/templates/sandbox.j2").read_text().splitlines()
    unit = {line for line in lines[lines.index("CapabilityBoundingSet=") :] if not line.startswith("#")}
    assert {line.split("=")[0] for line in unit - properties} == missing


def test_check_mode_is_no_option() -> None:
    assert "check_mode" not in model.options(model.Request)


def test_a_number_of_the_project_is_a_number() -> None:
    kinds = {name: option["type"] for name, option in model.spec(model.Project).items()}
    assert {kind for name, kind in kinds.items() if re.search("_(seconds|count|days)$", name)} == {"int"}
