"""Which variables of the environment settings read, whatever they call what they read them with. Nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

# Libraries of which a project may have a helper with a name of its own.
MAKERS = ("Env", "FileAwareEnv", "AutoConfig", "Config")
URLS = {"db": "DATABASE_URL", "cache": "CACHE_URL", "email": "EMAIL_URL"}
# systemd sets these.
SYSTEM = {"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"}


class Read(NamedTuple):
    """One place that reads a variable: whether it must be there, its default, the kind of its URL, and the line."""

    name: str
    required: bool
    default: ast.expr | None
    kind: str
    line: int


class Helper(NamedTuple):
    """A function of the project that reads the variable it is told, and whether that must be there."""

    required: bool


class Reader:
    """What is known of the names that read the environment; each file adds those that it has."""

    def __init__(self) -> None:
        self.mappings = {"os.environ", "environ"}
        self.getters = {"os.getenv", "getenv"}
        self.objects = {"env", "config", "decouple.config"}
        self.helpers: dict[str, Helper] = {}
        self.defaults: dict[str, ast.expr | None] = {}
        # What a name is compared with, and the variable that a name was read from.
        self.compared: dict[str, set[str]] = {}
        self.bound: dict[str, str] = {}
        self.given: set[str] = set()

    def learn(self, tree: ast.Module) -> None:
        """Know the names of a file that read the environment."""
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    for alias in (each for each in names if each.name == "os" and each.asname):
                        self.mappings.add(f"{alias.asname}.environ")
                        self.getters.add(f"{alias.asname}.getenv")
                case ast.ImportFrom(module="os" | "decouple", names=names):
                    known = {"environ": self.mappings, "getenv": self.getters, "config": self.objects}
                    for alias in (each for each in names if each.name in known):
                        known[alias.name].add(alias.asname or alias.name)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.learn_name(name, value)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (helper := self.helper(node)):
                self.helpers[node.name] = helper

    def learn_name(self, name: str, value: ast.expr) -> None:
        text = ast.unparse(value)
        if text in self.mappings:
            self.mappings.add(name)
        elif text in self.getters or text.removesuffix(".get") in self.mappings:
            self.getters.add(name)
        elif isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in MAKERS:
            self.objects.add(name)
            for word in value.keywords:
                has_default = isinstance(word.value, ast.Tuple) and len(word.value.elts) > 1
                if word.arg and has_default and isinstance(word.value, ast.Tuple):
                    self.defaults[word.arg] = word.value.elts[1]
        else:
            # A file that is read, or whatever else has that name.
            self.objects.discard(name)

    def helper(self, function: ast.FunctionDef) -> Helper | None:
        """A function whose first argument is the name of a variable, or None."""
        first = next(iter(function.args.args), None)
        if not first:
            return None
        nodes = list(ast.walk(function))
        reads = [node for node in nodes if isinstance(node, ast.Subscript | ast.Call) and self.asks(node, first.arg)]
        if not reads:
            return None
        tried = any(isinstance(node, ast.Try) for node in nodes)
        fails = any(isinstance(node, ast.Subscript) for node in reads) and not tried
        return Helper(fails or any(isinstance(node, ast.Raise) for node in nodes))

    def asks(self, node: ast.Subscript | ast.Call, name: str) -> bool:
        """Whether an expression reads the variable that a name stands for."""
        if isinstance(node, ast.Subscript):
            return ast.unparse(node.value) in self.mappings and ast.unparse(node.slice) == name
        return bool(self.way(node)) and bool(node.args) and ast.unparse(node.args[0]) == name

    def way(self, node: ast.Call) -> str:
        """How a call reads the environment: `get`, where nothing has to be there, a helper's name, or `object`."""
        function = ast.unparse(node.func)
        if function in self.getters or (function.endswith(".get") and function[:-4] in self.mappings):
            return "get"
        if function in self.helpers:
            return function
        return "object" if function in self.objects or function.rpartition(".")[0] in self.objects else ""

    def read(self, node: ast.expr, kind: str = "") -> Read | None:
        """The variable that an expression reads, or None."""
        if isinstance(node, ast.Subscript):
            known = ast.unparse(node.value) in self.mappings and isinstance(node.ctx, ast.Load)
            name = constant(node.slice) if known else None
            return Read(name, True, None, kind, node.lineno) if name else None
        if not isinstance(node, ast.Call):
            return None
        if ast.unparse(node.func).endswith("dj_database_url.config"):
            name = next((constant(word.value) for word in node.keywords if word.arg == "env"), "DATABASE_URL")
            return Read(name, False, None, "db", node.lineno) if name else None
        if not (way := self.way(node)):
            return None
        if way == "object" and isinstance(node.func, ast.Attribute):
            kind = kind or re.sub(r"^dj_|_url$", "", node.func.attr)
        kind = kind if kind in URLS else ""
        name = constant(node.args[0]) if node.args else URLS.get(kind)
        if not name:
            return None
        default = default_of(node) or (self.defaults.get(name) if way == "object" else None)
        must = way == "object" or (way in self.helpers and self.helpers[way].required)
        return Read(name, must and default is None, default, kind, node.lineno)

    def reads(self, tree: ast.Module) -> Iterator[Read]:
        """All that a file reads. What stands behind a condition need not be there."""
        for statement in tree.body:
            yield from self.visit(statement, True)

    def visit(self, node: ast.AST, surely: bool, kind: str = "") -> Iterator[Read]:
        if isinstance(node, ast.FunctionDef) and node.name in self.helpers:
            return
        if isinstance(node, ast.expr) and (found := self.read(node, kind)):
            yield found._replace(required=found.required and surely)
        self.remember(node)
        kind = "db" if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("database_url.parse") else ""
        for part, always in branches(node):
            yield from self.visit(part, surely and always, kind)

    def remember(self, node: ast.AST) -> None:
        """What a variable is bound to, compared with or set to."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if found := self.read(value):
                self.bound[name] = found.name
            case ast.Compare(left=left, comparators=[other]):
                read = self.read(left)
                name = read.name if read else self.bound.get(ast.unparse(left), "")
                texts = [each.value for each in ast.walk(other) if isinstance(each, ast.Constant)]
                self.compared.setdefault(name, set()).update(text for text in texts if isinstance(text, str))
            case ast.Call(func=ast.Attribute(value=value, attr="setdefault"), args=[first, *_]):
                if ast.unparse(value) in self.mappings and (named := constant(first)):
                    self.given.add(named)


def constant(node: ast.expr) -> str | None:
    """The name of a variable that is written out, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[A-Za-z_]\w*", node.value):
        return node.value
    return None


def default_of(node: ast.Call) -> ast.expr | None:
    named = next((word.value for word in node.keywords if word.arg == "default"), None)
    return named or (node.args[1] if len(node.args) > 1 else None)


def branches(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The parts of a statement or an expression that a server may come to, and whether it does in any case."""
    skipped: list[ast.AST] = []
    doubtful: list[ast.AST] = []
    if isinstance(node, ast.If | ast.IfExp):
        body, otherwise = (side if isinstance(side, list) else [side] for side in (node.body, node.orelse))
        test = ast.unparse(node.test)
        if test in ("DEBUG", "not DEBUG"):
            skipped.extend(body if test == "DEBUG" else otherwise)
        else:
            doubtful.extend([*body, *otherwise])
    elif isinstance(node, ast.Try) and node.handlers:
        doubtful.extend([*node.body, *node.handlers])
    yield from ((part, part not in doubtful) for part in ast.iter_child_nodes(node) if part not in skipped)
