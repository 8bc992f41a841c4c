"""An app imports those before it in this list, and none after it."""

import ast
from pathlib import Path

import pytest
from django.conf import settings

APPS = ["common", "api", "tasks", "users", "health", "authentication"]
PACKAGE = Path(settings.BASE_DIR, "styleguide_example")


def imported_apps(module: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    prefix = f"{PACKAGE.name}."
    return {name.split(".")[1] for name in names if name.startswith(prefix)}


def test_the_list_names_every_app():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(APPS)


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_those_before_it(app):
    modules = [path for path in (PACKAGE / app).rglob("*.py") if "tests" not in path.parts]
    allowed = set(APPS[: APPS.index(app) + 1])
    wrong = {str(path): imported_apps(path) - allowed for path in modules}
    assert {path: apps for path, apps in wrong.items() if apps} == {}
