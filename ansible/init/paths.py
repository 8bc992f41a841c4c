"""The value of an expression that makes a path, as far as it is of the usual kind. Nothing is run."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

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
        case ast.Attribute(value=value, attr="parent"):
            return above(inner(value), 0)
        case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=number):
            return above(inner(value), inner(number))
        case ast.Call():
            return called(node, inner)
    return None


def joined(left: Value, right: Value, operator: ast.operator) -> Path | None:
    if not isinstance(left, str | Path) or not isinstance(right, str | Path) or not left or not right:
        return None
    return Path(left, right) if isinstance(operator, ast.Div) else Path(f"{left}{right}")


def above(path: Value, number: Value) -> Path | None:
    if isinstance(path, str | Path) and path and isinstance(number, int):
        with contextlib.suppress(IndexError):
            return Path(path).parents[number]
    return None


def called(node: ast.Call, inner: Callable[[ast.expr], Value]) -> Value:
    """What a function of pathlib or os.path makes of its arguments."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in ("resolve", "absolute") and isinstance(function, ast.Attribute):
        return inner(function.value)
    values = [value for value in map(inner, node.args) if isinstance(value, str | Path)]
    if not values or len(values) < len(node.args):
        return None
    if name == "dirname":
        return Path(values[0]).parent
    if name == "join":
        return Path(*values)
    return Path(values[0]) if name in ("Path", "str", "abspath", "realpath") else None
