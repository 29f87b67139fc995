"""What a model's code can reach: the values that its functions name, as far as the user's own files go."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlwild.digest import is_users, names_in

#: Items of a list or a dictionary that are looked into.
_MOST_ITEMS = 200


@dataclass(frozen=True, eq=False)
class Reached:
    """
    A value that code can reach.

    Parameters
    ----------
    name : str
        What the code calls it: a global name, a parameter, an attribute.
    value : object
    by : str
        The function or parameters that name it.
    """

    name: str
    value: Any
    by: str


def reach(recipe: Any) -> Iterator[Reached]:
    """
    Yield all that a model can reach, itself first: parameters, globals, closures, defaults, and what these name.

    Installed packages are not looked into. Not seen: what a function imports inside its body, or opens by a
    name that it makes up.

    Examples
    --------
    >>> limit = 3
    >>> def train(X, y): return lambda X: X[:limit]
    >>> [one.name for one in reach(train)]
    ['train']
    """
    seen: set[int] = set()
    waiting = [Reached(getattr(recipe, "__name__", type(recipe).__name__), recipe, "models")]
    while waiting:
        one = waiting.pop(0)
        if id(one.value) in seen or isinstance(one.value, str | bytes | int | float | bool | type(None)):
            if isinstance(one.value, str):
                yield one
            continue
        seen.add(id(one.value))
        yield one
        waiting += _inside(one)


def _inside(one: Reached) -> Iterator[Reached]:
    value, name = one.value, one.name
    if isinstance(value, functools.partial):
        yield Reached(name, value.func, one.by)
        for item in (*value.args, *value.keywords.values()):
            yield Reached(name, item, name)
    elif isinstance(value, types.MethodType):
        yield Reached(name, value.__func__, one.by)
        yield Reached(name, value.__self__, one.by)
    elif isinstance(value, types.FunctionType):
        if is_users(value.__module__):
            yield from _of_function(value)
    elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):  # functools.cache
        yield Reached(name, value.__wrapped__, one.by)
    elif isinstance(value, type):
        if is_users(value.__module__):
            yield from _of_class(value)
    elif isinstance(value, Mapping):
        for key, item in list(value.items())[:_MOST_ITEMS]:
            yield Reached(f"{name}[{key!r}]", item, one.by)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in list(value)[:_MOST_ITEMS]:
            yield Reached(name, item, one.by)
    else:
        yield from _of_object(one)


def _of_function(function: types.FunctionType) -> Iterator[Reached]:
    by = function.__name__
    names, space = names_in(function.__code__), function.__globals__
    for name in sorted(names & set(space)):
        value = space[name]
        if isinstance(value, types.ModuleType):
            if is_users(value.__name__):
                inner = vars(value)
                for part in sorted(names & set(inner)):
                    yield Reached(f"{name}.{part}", inner[part], by)
        else:
            yield Reached(name, value, by)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if cell != types.CellType():  # an empty cell
            yield Reached(name, cell.cell_contents, by)
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield Reached("a default", value, by)
    for text in _texts(function.__code__):
        yield Reached(repr(text), text, by)


def _texts(code: types.CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, types.CodeType):
            yield from _texts(constant)


def _of_class(kind: type) -> Iterator[Reached]:
    seen: set[str] = set()
    for base in kind.__mro__:
        if base is kind or is_users(base.__module__):
            for name, value in vars(base).items():
                if name in seen:  # what is overridden does not run
                    continue
                seen.add(name)
                inner = value.__func__ if isinstance(value, staticmethod | classmethod) else value
                inner = inner.fget if isinstance(inner, property) else inner
                if isinstance(inner, types.FunctionType) or not name.startswith("__"):
                    yield Reached(f"{kind.__name__}.{name}", inner, kind.__name__)


def _of_object(one: Reached) -> Iterator[Reached]:
    value = one.value
    if is_users(type(value).__module__):
        yield Reached(type(value).__name__, type(value), one.by)
        for name, item in getattr(value, "__dict__", {}).items():
            yield Reached(name, item, type(value).__name__)
    parameters = getattr(value, "get_params", None)
    if callable(parameters) and not isinstance(value, type):
        for name, item in parameters(deep=False).items():
            yield Reached(name, item, type(value).__name__)
