"""What app.json, the Heroku button's manifest, promises is so."""

import json
import re
from typing import Any

import jsonschema
import pytest
from repository import ROOT, load

HEROKU = ROOT / "tests/heroku"
MANIFEST = json.loads((ROOT / "app.json").read_text())
# Published in the npm package @heroku/mcp-server 1.2.8; its licence lies beside it.
SCHEMA = json.loads((HEROKU / "app-json.schema.json").read_text())
PLANS = json.loads((HEROKU / "plans.json").read_text())
# What libraries read by themselves.
LIBRARIES = {"PGSSLMODE": "libpq", "REMAP_SIGTERM": "celery"}
# What Heroku's buildpack reads.
BUILDPACK = {"DISABLE_COLLECTSTATIC"}
# The add-on that Heroku CI starts within the dyno of the tests, for nothing.
IN_DYNO = "heroku-postgresql:in-dyno"


def plans(addons: list[Any]) -> list[str]:
    return [addon if isinstance(addon, str) else addon["plan"] for addon in addons]


def environments(key: str) -> list[pytest.ParameterSet]:
    """What app.json and each of its environments say of a key."""
    named = {"button": MANIFEST} | MANIFEST["environments"]
    return [pytest.param(part[key], id=name) for name, part in named.items() if key in part]


def process_types() -> set[str]:
    return set(load(ROOT / "Procfile"))


def variables_of_readme() -> list[str]:
    table = (ROOT / "app/README.md").read_text().partition("## Environment variables")[2]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_heroku_accepts_the_manifest() -> None:
    errors = [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(MANIFEST)]
    assert errors == []


@pytest.mark.parametrize("addons", environments("addons"))
def test_every_add_on_has_a_plan_that_can_be_ordered(addons: list[Any]) -> None:
    unknown = sorted(set(plans(addons)) - set(PLANS["addons"]) - {IN_DYNO})
    assert not unknown, (
        f"app.json asks for {', '.join(unknown)}, which tests/heroku/plans.json does not list: write one of "
        f"{', '.join(PLANS['addons'])}, or add it there once one of its sources shows it."
    )


@pytest.mark.parametrize("formation", environments("formation"))
def test_every_dyno_has_a_size_that_can_be_ordered(formation: dict[str, dict[str, Any]]) -> None:
    unknown = sorted({process["size"] for process in formation.values()} - set(PLANS["dynos"]))
    assert not unknown, (
        f"app.json asks for {', '.join(unknown)}, which tests/heroku/plans.json does not list: write one of "
        f"{', '.join(PLANS['dynos'])}."
    )


@pytest.mark.parametrize("formation", environments("formation"))
def test_the_formation_is_every_process_of_the_procfile(formation: dict[str, dict[str, Any]]) -> None:
    # Heroku CI starts none of them.
    assert set(formation) in (process_types() - {"release"}, set())


def test_one_web_one_worker_and_one_beat_are_started() -> None:
    assert {name: process["quantity"] for name, process in MANIFEST["formation"].items()} == {
        "web": 1,
        "worker": 1,
        "beat": 1,
    }


def test_what_production_requires_comes_with_the_button() -> None:
    given = {name for name, variable in MANIFEST["env"].items() if "value" in variable or "generator" in variable}
    given |= {f"{addon['as']}_URL" for addon in MANIFEST["addons"]}
    required = variables_of_readme()[:4]
    assert required == ["SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS", "CELERY_BROKER_URL"]
    assert set(required) <= given


@pytest.mark.parametrize("env", environments("env"))
def test_something_reads_every_variable(env: str) -> None:
    code = "".join(path.read_text() for path in ROOT.glob("app/styleguide_example/**/commands/*.py"))
    read = set(variables_of_readme()) | set(re.findall(r'os\.environ\.get\("(\w+)"\)', code))
    read |= set(re.findall(r"\$(\w+)", MANIFEST["scripts"]["postdeploy"]))
    assert set(env) <= read | set(LIBRARIES) | BUILDPACK


def test_secrets_are_generated_and_not_in_the_repository() -> None:
    generated = {name for name, variable in MANIFEST["env"].items() if variable.get("generator") == "secret"}
    assert generated == {"SECRET_KEY", "ADMIN_PASSWORD"}
    assert not any("value" in MANIFEST["env"][name] for name in generated)


def test_whoever_presses_the_button_need_not_fill_in_anything() -> None:
    silent = {"value", "generator"}
    asked = {name for name, variable in MANIFEST["env"].items() if variable.get("required", True)}
    assert [name for name in asked if not silent & set(MANIFEST["env"][name])] == []


@pytest.mark.parametrize(
    ("file", "target"),
    [("requirements.txt", "production.txt"), ("requirements-test.txt", "test.txt")],
)
def test_the_buildpack_notices_every_change_of_the_requirements(file: str, target: str) -> None:
    # It compares this one file with the last build's. With `-r` in it, a package that is no longer
    # required would stay installed; a link has the content itself.
    assert (ROOT / file).is_symlink()
    assert (ROOT / file).resolve() == ROOT / "app/requirements" / target
    assert not re.search(r"^\s*(-r|-c|--requirement|--constraint)\b", (ROOT / file).read_text(), re.MULTILINE)


def test_the_buildpack_finds_manage_py_and_no_other() -> None:
    # It looks three folders deep, and takes the one that is highest up.
    found = sorted(path for depth in ("", "*/", "*/*/") for path in ROOT.glob(f"{depth}manage.py"))
    assert found == [ROOT / "app/manage.py"]


def test_docs_tell_what_the_button_costs() -> None:
    prices = PLANS["addons"] | PLANS["dynos"]
    ordered = plans(MANIFEST["addons"]) + [process["size"] for process in MANIFEST["formation"].values()]
    if not set(ordered) <= set(prices):
        pytest.skip("something cannot be ordered, which another test says")
    assert f"**${sum(prices[plan] for plan in ordered)} a month**" in (ROOT / "docs/heroku.md").read_text()


@pytest.mark.parametrize("key", ["repository", "logo"])
def test_where_the_button_finds_its_repository_and_its_logo_is_public(key: str) -> None:
    # Whoever publishes a copy adds them.
    assert MANIFEST.get(key, "https://").startswith("https://")
