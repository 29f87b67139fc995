"""Assertions in vain: always true, never reached, never called, compared and not asserted."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlwild.gate.faults.syntax import blocks_of, called, name_of, walk_own

#: Attributes of arrays that are functions: without their brackets they are always true.
_METHODS = ("any", "all", "empty_like", "isnull", "isna", "notna", "is_finite")


def faults(body: ast.AST) -> Iterator[str]:
    """
    Yield assertions that cannot fail.

    Examples
    --------
    >>> list(faults(ast.parse("assert (model.size < 5).all")))
    ["line 1: '(model.size < 5).all' is not called, so that it is always true; write all()"]
    """
    yield from _always_true(body)
    yield from _compared_only(body)
    yield from _never_reached(body)
    yield from _never_called(body)


def _always_true(body: ast.AST) -> Iterator[str]:
    for node in ast.walk(body):
        if isinstance(node, ast.Assert):
            why = _truth(node.test)
            if why:
                yield f"line {node.lineno}: {why}"


def _truth(test: ast.expr) -> str:
    """Say why an expression is always true, or nothing."""
    if isinstance(test, ast.Tuple) and test.elts:
        return "what is asserted is a tuple, which is always true; remove the brackets"
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return next((why for part in test.values if (why := _truth(part))), "")
    if isinstance(test, ast.Attribute) and test.attr in _METHODS:
        return f"{ast.unparse(test)!r} is not called, so that it is always true; write {test.attr}()"
    looks = (ast.Name, ast.Attribute, ast.Call)
    if not any(isinstance(node, looks) for node in ast.walk(test)) and not isinstance(test, ast.JoinedStr):
        # assert False is a way to fail; what is true of constants alone is no test.
        false = isinstance(test, ast.Constant) and not test.value
        return "" if false else f"{ast.unparse(test)!r} looks at nothing, so that it does not depend on the model"
    return ""


def _compared_only(body: ast.AST) -> Iterator[str]:
    for node in walk_own(body):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            yield f"line {node.lineno}: {ast.unparse(node.value)!r} is compared and not asserted"


def _never_reached(body: ast.AST) -> Iterator[str]:
    for block in blocks_of(body):
        ended = False
        for statement in block:
            if ended and _asserts([statement]):
                yield f"line {statement.lineno}: what it asserts is never reached"
                break
            skips = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            ended |= isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break)
            ended |= skips and name_of(statement.value) in ("skip", "xfail")  # type: ignore[attr-defined]
    for node in ast.walk(body):
        if isinstance(node, ast.If | ast.While) and _is_false(node.test) and _asserts(node.body):
            yield f"line {node.lineno}: what it asserts is never reached"


def _is_false(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and not test.value


def _asserts(block: list[ast.stmt]) -> bool:
    return any(isinstance(inner, ast.Assert) for part in block for inner in ast.walk(part))


def _never_called(body: ast.AST) -> Iterator[str]:
    """Yield where all that is asserted stands in inner functions that nobody calls or hands on."""
    own = any(isinstance(node, ast.Assert | ast.Raise) for node in walk_own(body))
    inner = [
        node
        for node in ast.walk(body)
        if isinstance(node, ast.FunctionDef)
        and node is not body
        and any(isinstance(n, ast.Assert) for n in ast.walk(node))
    ]
    if own or not inner:
        return
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)} | set(called(body))
    if not any(node.name in used or node.decorator_list for node in inner):
        yield f"line {inner[0].lineno}: {inner[0].name} asserts, and nobody calls it"
