"""Faults of a test that can be read in its source: it cannot fail, or compares what cannot be compared."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from mlwild.gate.faults import chance, vain
from mlwild.gate.faults.syntax import called, name_of, walk_own

#: Calls that turn NaN into a number, and hide it.
_HIDING = ("nan_to_num", "fillna", "nanmean", "nanmax", "nanmin", "nansum", "nanmedian", "nanquantile", "nanpercentile")
_ONE_TAIL = ("less", "greater")


def faults_of(function: Callable[..., Any]) -> list[str]:
    """
    Return what is wrong with a test, as sentences; nothing where its source cannot be read.

    Examples
    --------
    >>> def test_prints(model):
    ...     print(model.name)
    >>> faults_of(test_prints)
    ['it asserts nothing and returns nothing, so that it cannot fail']
    """
    body = _read(function)
    if body is None:
        return []
    beside = getattr(function, "__globals__", {})
    helpers = [one for name in called(body) if inspect.isfunction(one := beside.get(name))]
    return faults_in(body, helped=any(_asserts(read) for one in helpers if (read := _read(one)) is not None))


def _read(function: Callable[..., Any]) -> ast.FunctionDef | ast.Lambda | None:
    """Return a function's source as a tree; None where it cannot be read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    return next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)), None)


def faults_in(body: ast.FunctionDef | ast.Lambda, *, helped: bool = False) -> list[str]:
    """Return what is wrong with a test that was read already; `helped` if a function that it calls asserts."""
    found = [] if helped else [*_cannot_fail(body)]
    found += [*_swallowed(body), *vain.faults(body), *_exact(body), *_one_tail(body)]
    return [*found, *_hidden(body), *chance.faults(body)]


def _asserts(body: ast.AST) -> bool:
    return any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(body))


def _cannot_fail(body: ast.AST) -> Iterator[str]:
    if isinstance(body, ast.Lambda):
        return
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in walk_own(body))
    # A helper that asserts is called by a name that says so, such as numpy.testing's.
    calls = any(name.startswith(("assert", "check", "require", "raises", "fail")) for name in called(body))
    if not (_asserts(body) or returns or calls):
        yield "it asserts nothing and returns nothing, so that it cannot fail"


def _swallowed(body: ast.AST) -> Iterator[str]:
    for node in ast.walk(body):
        if isinstance(node, ast.Try) and any(
            isinstance(inner, ast.Assert) for part in node.body for inner in ast.walk(part)
        ):
            for handler in node.handlers:
                named = "" if handler.type is None else ast.unparse(handler.type)
                if named in ("", "Exception", "BaseException", "AssertionError") and not any(
                    isinstance(inner, ast.Raise) for inner in ast.walk(handler)
                ):
                    yield f"line {node.lineno}: what it asserts is caught, so that it cannot fail"


def _exact(body: ast.AST) -> Iterator[str]:
    for node in ast.walk(body):
        if not isinstance(node, ast.Assert):
            continue
        for test in ast.walk(node.test):
            if isinstance(test, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in test.ops):
                # Nothing is lost on the way to 0.0: a share of no row is exactly that.
                sides = [one.value for one in (test.left, *test.comparators) if isinstance(one, ast.Constant)]
                if any(isinstance(side, float) and side != 0 for side in sides):
                    said = ast.unparse(test)
                    yield f"{said!r} asks floating-point numbers to be exactly equal; use math.isclose or numpy.isclose"


def _one_tail(body: ast.AST) -> Iterator[str]:
    for node in ast.walk(body):
        if isinstance(node, ast.Call):
            for word in node.keywords:
                if word.arg == "alternative" and isinstance(word.value, ast.Constant) and word.value.value in _ONE_TAIL:
                    yield (
                        f"alternative={word.value.value!r} looks at one tail only; ask for two sides, or state the "
                        "direction as a limit (mlwild.gate.at_most)"
                    )


def _hidden(body: ast.AST) -> Iterator[str]:
    for node in ast.walk(body):
        if isinstance(node, ast.Call) and name_of(node) == "get" and len(node.args) == 2:
            default = node.args[1]
            if isinstance(default, ast.Constant) and isinstance(default.value, float):
                said = ast.unparse(node)
                yield f"{said!r} takes a measure that is missing for {default.value}; write [...], which raises"
        if isinstance(node, ast.Call) and name_of(node) in _HIDING:
            # Rows that a test fills in to ask the model about them are no result that it hides.
            asked = isinstance(node.func, ast.Attribute) and any(
                word in ast.unparse(node.func.value) for word in ("features", "frame", "raw")
            )
            if not (name_of(node) == "fillna" and asked):
                yield f"{name_of(node)} turns NaN into a number; NaN must not pass"
