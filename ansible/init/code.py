"""A project's Python files, as text and as trees."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "tests", "test", "migrations", "docs", "staticfiles"}


def own_files(folder: Path) -> Iterator[Path]:
    """The project's own files, those of a folder before those of the folders in it."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        yield from (Path(where, name) for name in sorted(files))


def sources(folder: Path) -> Iterator[Path]:
    """The project's own Python files."""
    return (path for path in own_files(folder) if path.suffix == ".py")


def text_of(path: Path) -> str:
    return path.read_text(errors="replace")


def parse(path: Path) -> ast.Module:
    try:
        return ast.parse(text_of(path))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as Python: {error}.") from error


def names(tree: ast.Module) -> set[str]:
    """The names that a module has."""
    nodes = list(ast.walk(tree))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return found | {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def modules(folder: Path, name: str) -> list[Path]:
    """The files of all modules of a name, which may be packages, the nearest first."""
    found = [
        path for path in sources(folder) if path.stem == name or (path.stem, path.parent.name) == ("__init__", name)
    ]
    return sorted(found, key=lambda path: len(path.parts))


def module_name(path: Path, folder: Path) -> str:
    """The dotted name of a file."""
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    return name.removesuffix(".__init__")


def file_of(name: str, folder: Path) -> Path | None:
    path = folder.joinpath(*name.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def require_module(option: str, value: str | None, folder: Path) -> None:
    """Refuse an option that names a module, and perhaps something in it, which the project does not have."""
    module, _, name = (value or "").partition(":")
    if not module:
        return
    if not (path := file_of(module, folder)):
        raise UserError(f"There is no module {module} in {folder}: give another {option.upper()}=....")
    if name and not {name, "*"} & names(parse(path)):
        raise UserError(f"{module} has no {name}: give another {option.upper()}=....")
