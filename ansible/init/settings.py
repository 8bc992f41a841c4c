"""What Django's settings say, without running them."""

from __future__ import annotations

import ast
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError
from ansible_collections.slipway.host.plugins.module_utils.inventory import rules

from init.code import file_of, modules, parse, text_of
from init.options import ask
from init.paths import Assignment, evaluate
from init.variables import Read, Reader, branches

PRODUCTION = ("production", "prod", "live", "deploy")


class Variable(NamedTuple):
    """A variable of the environment that the settings read, and where they first do."""

    required: bool
    place: str
    default: object = None
    kind: str = ""


def find_settings(given: str | None, folder: Path) -> str:
    """The name of the settings module for servers."""
    name = given or next(iter(candidates(folder)), None)
    # What manage.py names, though it is not there, is told.
    name = name or named_settings(folder / "manage.py")
    name = name or ask("The settings module (such as config.settings.production)", "settings")
    if not file_of(name, folder):
        if inner := next((path for path in sorted(folder.iterdir()) if path.is_dir() and file_of(name, path)), None):
            raise UserError(
                f"The project's modules lie in {inner}, and manage.py beside that folder, where a server does not find "
                f"them: run `git mv manage.py {inner.name}/` in {folder}, and commit that."
            )
        raise UserError(f"There is no settings module {name} in {folder}: give another SETTINGS=....")
    return name


def named_settings(path: Path) -> str | None:
    """The settings module that manage.py, wsgi.py or asgi.py name, or None."""
    found = re.search(r"DJANGO_SETTINGS_MODULE[\"']\s*[,\]]\s*=?\s*[\"']([\w.]+)[\"']", text_of(path))
    return found[1] if found else None


def is_settings(path: Path | None) -> bool:
    """Whether a file that may be there has settings, or takes them over from another."""
    known = re.compile(r"^from \S+ import \*|^(ALLOWED_HOSTS|DATABASES|DEBUG|INSTALLED_APPS)\b", re.MULTILINE)
    return bool(path and ("settings" in f"{path.parent.name}/{path.name}" or known.search(text_of(path))))


def candidates(folder: Path) -> list[str]:
    """The modules that may be the settings, the best one first."""
    entries = sorted([*modules(folder, "wsgi"), *modules(folder, "asgi")])
    every = [named_settings(path) for path in (*entries, folder / "manage.py")]
    named = {name: path for name in every if name and (path := file_of(name, folder))}
    packages = {name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in named.items()}
    shapes = [shape.format(word) for word in PRODUCTION for shape in ("{}", "settings_{}", "{}_settings")]
    siblings = [f"{package}.{shape}".strip(".") for package in sorted(packages) for shape in shapes]
    better = [name for name in siblings if is_settings(file_of(name, folder))]
    production = [name for name in named if set(name.split(".")[-1].split("_")) & set(PRODUCTION)]
    return list(dict.fromkeys([*production, *better, *named]))


class Settings:
    """What a settings module and those that it imports with a star say."""

    def __init__(self, module: str, folder: Path) -> None:
        self.module, self.folder = module, folder
        self.files: list[Path] = []
        self.reader = Reader()
        self.assignments: dict[str, Assignment] = {}
        # Those that only a condition sets.
        self.doubtful: set[str] = set()
        self.variables: dict[str, Variable] = {}
        self.visit(module)
        self.text = "\n".join(map(text_of, self.files))
        for name in self.reader.given & set(self.variables):
            self.variables[name] = self.variables[name]._replace(required=False)

    def visit(self, module: str) -> None:
        path = file_of(module, self.folder)
        if not path or path in self.files:
            return
        self.files.append(path)
        tree = parse(path)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for imported in star_imports(tree, package):
            self.visit(imported)
        for imported in named_imports(tree, package):
            if helpers := file_of(imported, self.folder):
                self.reader.learn(parse(helpers))
        self.reader.learn(tree)
        self.assign(tree, path, surely=True)
        for read in self.reader.reads(tree):
            self.note(read, f"{path.relative_to(self.folder)}:{read.line}")

    def read_too(self, module: str | None) -> None:
        """Know the variables that Celery's module reads, and those of a module that it configures itself from."""
        path = file_of(module, self.folder) if module else None
        named = re.findall(r"config_from_object\(\s*[\"']([\w.]+)[\"']", text_of(path)) if path else []
        for file in filter(None, (path, *(file_of(name, self.folder) for name in named))):
            tree = parse(file)
            self.reader.learn(tree)
            for read in self.reader.reads(tree):
                self.note(read, f"{file.relative_to(self.folder)}:{read.line}")

    def assign(self, node: ast.AST, path: Path, surely: bool) -> None:
        """Know what names are set to; what a condition sets counts where nothing else does."""
        made: list[tuple[str, ast.expr]] = []
        match node:
            case ast.Assign(targets=targets, value=value):
                made = [(target.id, value) for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                made = [(name, value)]
            case ast.FunctionDef(name=name, args=arguments, body=[*_, ast.Return(value=ast.expr() as value)]):
                made = [(name, ast.Lambda(arguments, value))]
            case ast.Module() | ast.If() | ast.Try() | ast.With() | ast.ExceptHandler():
                for part, always in branches(node):
                    self.assign(part, path, surely and always)
        for name, value in made:
            if surely or name not in self.assignments:
                (self.doubtful.discard if surely else self.doubtful.add)(name)
                self.assignments[name] = Assignment(value, path, getattr(node, "lineno", 0))

    def note(self, read: Read, place: str) -> None:
        known = self.variables.get(read.name)
        required = read.required or bool(known and known.required)
        default = None
        with contextlib.suppress(ValueError):
            default = ast.literal_eval(read.default) if read.default else None
        self.variables[read.name] = Variable(
            required, known.place if known else place, default, read.kind or (known.kind if known else "")
        )

    def place(self, name: str) -> str:
        _, path, line = self.assignments[name]
        return f"{path.relative_to(self.folder)}:{line}"

    def literal(self, name: str) -> object:
        """The value of a setting that is written out, or None."""
        with contextlib.suppress(ValueError, KeyError):
            return ast.literal_eval(self.assignments[name].value)
        return None

    def expression(self, name: str) -> str:
        """What a setting is set to, as Python."""
        return ast.unparse(self.assignments[name].value) if name in self.assignments else ""

    def path_of(self, name: str) -> Path | None:
        """A setting that is a path, or None."""
        if not (assignment := self.assignments.get(name)):
            return None
        return self.path(assignment.value, assignment.path)

    def path(self, value: ast.expr, file: Path) -> Path | None:
        """What an expression of a file makes a path; a relative one is so to the project's folder, where it runs."""
        found = evaluate(value, file, self.assignments)
        return Path(os.path.normpath(self.folder / found)) if isinstance(found, str | Path) and str(found) else None

    def folder_of(self, name: str) -> str | None:
        """A setting that is a path in the project's folder, relative to that, or None."""
        return self.inner(self.path_of(name))

    def inner(self, path: Path | None) -> str | None:
        """A path in the project's folder as the inventory has it, or None."""
        inside = path and path != self.folder and path.is_relative_to(self.folder)
        name = str(path.relative_to(self.folder)) if path and inside else ""
        return name if name and rules.is_inner_path(name) else None


def star_imports(tree: ast.Module, package: str) -> Iterator[str]:
    """The modules from which a module of a package takes all names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield origin(node, package)


def origin(node: ast.ImportFrom, package: str) -> str:
    parts = package.split(".")
    above = parts[: len(parts) - (node.level - 1)] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def named_imports(tree: ast.Module, package: str) -> Iterator[str]:
    """The modules from which a module of a package takes something by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield origin(node, package)
