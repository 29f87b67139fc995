"""Splits at random that can be read in the source of a train function or an estimator."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlwild.digest import is_users
from mlwild.gate.ready.splits.offence import Offence
from mlwild.gate.ready.splits.reach import Reached

_FOLDS = ("KFold", "StratifiedKFold", "StratifiedGroupKFold", "GroupKFold")
_SEARCHES = ("cross_val_score", "cross_val_predict", "cross_validate", "learning_curve", "validation_curve")


def random_splits(reached: Iterable[Reached]) -> Iterator[Offence]:
    """
    Yield calls that split dated rows at random, with file and line.

    Examples
    --------
    >>> [one.name for one in calls_of("train_test_split(X, y)", "app.py", 12)]
    ['train_test_split']
    """
    for one in reached:
        if isinstance(one.value, types.FunctionType) and is_users(one.value.__module__):
            try:
                lines, first = inspect.getsourcelines(one.value)
                source = textwrap.dedent("".join(lines))
                yield from calls_of(source, Path(inspect.getfile(one.value)).name, first)
            except (OSError, TypeError, SyntaxError):  # typed at a prompt, or a lambda in the middle of a call
                continue


def calls_of(source: str, file: str, first: int) -> Iterator[Offence]:
    """Yield the random splits of a piece of source that begins at a line of a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            target = node.func
            name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            why = _why(
                name, {word.arg: word.value for word in node.keywords if word.arg}, isinstance(target, ast.Attribute)
            )
            if why:
                yield Offence(name, f"{file}, line {first + node.lineno - 1}: {name} {why}")


def _why(name: str, words: dict[str, Any], method: bool) -> str:
    if name == "train_test_split" and _constant(words.get("shuffle")) is not False:
        return "puts later rows among those that train for earlier ones; give shuffle=False, or cut by time"
    if name.endswith("ShuffleSplit") or (name.startswith("Repeated") and name.endswith("KFold")):
        return "draws folds at random; use TimeSeriesSplit"
    if name in _FOLDS and _constant(words.get("shuffle")) is True:
        return "with shuffle=True draws folds at random; use TimeSeriesSplit"
    if name == "sample" and method and "frac" in words:
        return "draws rows at random; cut by time"
    if (name.endswith("SearchCV") or name in _SEARCHES) and ("cv" not in words or _is_number(words["cv"])):
        return "validates on folds in which later rows train for earlier ones; give cv=TimeSeriesSplit(...)"
    return ""


def _constant(node: Any) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _is_number(node: Any) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, int))
