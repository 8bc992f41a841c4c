"""The value of an expression that makes a path, as far as it is of the usual kind. Nothing is run."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from init.variables import constant, default_of

# Enough for settings of people, and an end for a name that is set to itself.
DEPTH = 12


class Assignment(NamedTuple):
    """What a name is set to, and where."""

    value: ast.expr
    path: Path
    line: int


Value = str | int | Path | None


def evaluate(node: ast.expr, path: Path, names: Mapping[str, Assignment], depth: int = 0) -> Value:
    """What an expression in the file `path` is; None for what cannot be told."""
    if depth > DEPTH:
        return None

    def inner(part: ast.expr) -> Value:
        return evaluate(part, path, names, depth + 1)

    match node:
        case ast.Constant(value=str() | int() as value):
            return value
        case ast.Name(id="__file__"):
            return path
        case ast.Name(id=name) if name in names:
            return evaluate(names[name].value, names[name].path, names, depth + 1)
        case ast.BinOp(left=left, op=ast.Div() | ast.Add() as operator, right=right):
            return joined(inner(left), inner(right), operator)
        # environ.Path goes up with a minus.
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=int() as number)):
            return above(inner(left), number - 1)
        case ast.Attribute(value=value, attr="parent"):
            return above(inner(value), 0)
        case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=number):
            return above(inner(value), inner(number))
        case ast.JoinedStr(values=parts):
            texts = [inner(part.value if isinstance(part, ast.FormattedValue) else part) for part in parts]
            return None if None in texts else "".join(map(str, texts))
        case ast.Call(func=ast.Name(id=name)) if name in names:
            return own_function(name, unpacked(node, names), path, names, depth)
        case ast.Call():
            return called(node, inner, unpacked(node, names))
    return None


def joined(left: Value, right: Value, operator: ast.operator) -> Path | None:
    if not isinstance(left, str | Path) or not isinstance(right, str | Path) or not left or not right:
        return None
    # What is added to a text begins with a slash; environ.Path adds without one.
    return (
        Path(left, right)
        if isinstance(operator, ast.Div) or not str(right).startswith(("/", "_"))
        else Path(f"{left}{right}")
    )


def above(path: Value, number: Value) -> Path | None:
    if isinstance(path, str | Path) and path and isinstance(number, int) and number >= 0:
        with contextlib.suppress(IndexError):
            return Path(path).parents[number]
    return None


def unpacked(node: ast.Call, names: Mapping[str, Assignment]) -> list[ast.expr]:
    """The arguments of a call, with those in place that a function of the project hands on with a star."""
    found: list[ast.expr] = []
    for each in node.args:
        given = names.get(each.value.id) if isinstance(each, ast.Starred) and isinstance(each.value, ast.Name) else None
        found.extend(given.value.elts if given and isinstance(given.value, ast.Tuple) else [each])
    return found


def own_function(
    name: str, given: Sequence[ast.expr], path: Path, names: Mapping[str, Assignment], depth: int
) -> Value:
    """What a function of the settings returns; a name that is no function is an environ.Path, which is called too."""
    made = names[name]
    if isinstance(made.value, ast.Lambda):
        wanted = made.value.args
        bound = {each.arg: Assignment(value, path, made.line) for each, value in zip(wanted.args, given, strict=False)}
        if wanted.vararg:
            rest = ast.Tuple([*given[len(wanted.args) :]], ast.Load())
            bound[wanted.vararg.arg] = Assignment(rest, path, made.line)
        return evaluate(made.value.body, made.path, {**names, **bound}, depth + 1)
    values = [evaluate(each, path, names, depth + 1) for each in (made.value, *given)]
    found = [value for value in values if isinstance(value, str | Path)]
    return Path(*found) if found and len(found) == len(values) else None


def called(node: ast.Call, inner: Callable[[ast.expr], Value], arguments: Sequence[ast.expr]) -> Value:
    """What a function of pathlib, os.path or environ.Path makes of its arguments."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if (default := default_of(node)) and node.args and (constant(node.args[0]) or "").isupper():
        # A variable of the environment: what the settings have without it.
        return inner(default)
    if name in ("resolve", "absolute", "expanduser", "as_posix") and isinstance(function, ast.Attribute):
        return inner(function.value)
    values = [value for value in map(inner, arguments) if isinstance(value, str | Path)]
    if len(values) < len(arguments):
        return None
    if name in ("joinpath", "child", "path") and isinstance(function, ast.Attribute):
        base = inner(function.value)
        return Path(base, *values) if isinstance(base, str | Path) else None
    if not values:
        return None
    if name == "dirname":
        return Path(values[0]).parent
    if name == "join":
        return Path(*values)
    return Path(values[0]) if name in ("Path", "str", "abspath", "realpath", "normpath", "fspath") else None
