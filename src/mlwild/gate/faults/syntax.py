"""Reading a function's syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def name_of(node: ast.Call) -> str:
    """Return the name of what is called, without what it belongs to."""
    target = node.func
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def called(body: ast.AST) -> Iterator[str]:
    """Yield the names of all that is called."""
    for node in ast.walk(body):
        if isinstance(node, ast.Call):
            yield name_of(node)


def walk_own(body: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of functions inside it."""
    waiting = list(ast.iter_child_nodes(body))
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def blocks_of(body: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield every list of statements: of the function, of branches, loops and handlers."""
    for node in ast.walk(body):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block
