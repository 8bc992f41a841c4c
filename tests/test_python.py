"""What holds for all Python of the repository but the projects that stand for other people's."""

import ast
from pathlib import Path

import pytest
from repository import ROOT, ids, tracked

FILE_LINES = 400
FUNCTION_LINES = 50
PROJECTS = ROOT / "molecule/projects"
FILES = [
    path for path in tracked() if path.suffix == ".py" and (path.parent == PROJECTS or PROJECTS not in path.parents)
]
# app/ and roles/*/files run where nothing of the repository is beside them.
HERE = [path for path in FILES if path.relative_to(ROOT).parts[0] in ("ansible", "molecule", "tests", "tools")]


def test_every_folder_with_python_is_looked_at() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert folders == {"ansible", "app", "molecule", "roles", "tests", "tools"}


@pytest.mark.parametrize("path", ids(FILES))
def test_a_file_and_its_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(function.name, (function.end_lineno or 0) - function.lineno + 1) for function in functions]
    assert [(name, lines) for name, lines in lengths if lines > FUNCTION_LINES] == []


@pytest.mark.parametrize("path", ids(HERE))
def test_imports_are_those_that_tools_can_follow(path: Path) -> None:
    nodes = ast.walk(ast.parse(path.read_text()))
    names = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute | ast.Name)}
    assert not {"sys.path", "spec_from_file_location", "importlib.util.spec_from_file_location"} & names


def test_each_suite_has_one_conftest() -> None:
    found = {str(path.parent.relative_to(ROOT)) for path in FILES if path.name == "conftest.py"}
    assert found == {"app", "molecule/testinfra", "tests"}
