"""What Django's settings say, without running them."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.slipway.host.plugins.module_utils.errors import UserError

from init.code import file_of, parse, sources, text_of
from init.options import ask
from init.paths import Assignment, evaluate

PRODUCTION = ("production", "prod", "live", "deploy")
ENVIRONMENTS = ("os.environ", "environ", "env")


class Variable(NamedTuple):
    """A variable of the environment that the settings read, and where they first do."""

    required: bool
    place: str


def find_settings(given: str | None, folder: Path) -> str:
    """The name of the settings module for servers."""
    name = given or next(iter(candidates(folder)), None)
    # What manage.py names, though it is not there, is told.
    name = name or named_settings(folder / "manage.py")
    name = name or ask("The settings module (such as config.settings.production)", "settings")
    if not file_of(name, folder):
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
    entries = [path for path in sources(folder) if path.name in ("wsgi.py", "asgi.py")]
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
        self.assignments: dict[str, Assignment] = {}
        self.variables: dict[str, Variable] = {}
        self.visit(module)
        self.text = "\n".join(map(text_of, self.files))

    def visit(self, module: str) -> None:
        path = file_of(module, self.folder)
        if not path or path in self.files:
            return
        self.files.append(path)
        tree = parse(path)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for imported in star_imports(tree, package):
            self.visit(imported)
        for statement in (each for each in tree.body if isinstance(each, ast.Assign)):
            for target in (each for each in statement.targets if isinstance(each, ast.Name)):
                self.assignments[target.id] = Assignment(statement.value, path, statement.lineno)
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript | ast.Call) and (found := environment_name(node)):
                self.note(*found, f"{path.relative_to(self.folder)}:{node.lineno}")

    def note(self, name: str, required: bool, place: str) -> None:
        known = self.variables.get(name)
        self.variables[name] = Variable(required or bool(known and known.required), known.place if known else place)

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
        """A setting that is an absolute path, or None."""
        if not (assignment := self.assignments.get(name)):
            return None
        found = evaluate(assignment.value, assignment.path, self.assignments)
        return Path(found) if isinstance(found, str | Path) and Path(found).is_absolute() else None

    def folder_of(self, name: str) -> str | None:
        """A setting that is a path in the project's folder, relative to that, or None."""
        path = self.path_of(name)
        return str(path.relative_to(self.folder)) if path and path.is_relative_to(self.folder) else None


def star_imports(tree: ast.Module, package: str) -> Iterator[str]:
    """The modules from which a module of a package takes all names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            parts = package.split(".")
            above = parts[: len(parts) - (node.level - 1)] if node.level else []
            yield ".".join([*above, *([node.module] if node.module else [])])


def environment_name(node: ast.Subscript | ast.Call) -> tuple[str, bool] | None:
    """The variable that an expression reads from the environment and whether it must be there, or None."""
    name: ast.expr | None
    if isinstance(node, ast.Subscript):
        if ast.unparse(node.value) not in ENVIRONMENTS:
            return None
        name, required = node.slice, True
    else:
        function = ast.unparse(node.func)
        usual = function in ("os.environ.get", "environ.get", "os.getenv", "getenv")
        # django-environ and decouple, where a variable without a default must be there.
        if not usual and not re.fullmatch(r"(env|config|decouple\.config)(\.\w+)?", function):
            return None
        name = node.args[0] if node.args else ast.Constant("DATABASE_URL") if function == "env.db" else None
        given = len(node.args) > 1 or any(word.arg == "default" for word in node.keywords)
        required = not usual and not given
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and re.fullmatch(r"[A-Z][A-Z0-9_]*", name.value):
        return name.value, required
    return None
