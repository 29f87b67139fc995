"""Whether a model's code can see the app's data by itself, rows after the cutoff and all."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlwild.digest import is_users
from mlwild.gate.ready.splits.offence import Offence
from mlwild.gate.ready.splits.reach import Reached, reach
from mlwild.gate.trial import Trial

#: A table in sight is taken for the history if it has so large a share of its rows; an array, if it is not far larger.
_SHARE, _LARGER = 0.9, 3.0
#: Texts that name a source of rows.
_ENDS = (".csv", ".parquet", ".pq", ".feather", ".arrow", ".zip", ".gz", ".json", ".db", ".sqlite", ".xlsx", ".tsv")


def in_sight(trial: Trial, reached: Iterable[Reached]) -> Iterator[Offence]:
    """Yield what the model's code reaches of the app's data: its functions, its files, or a table as long as it."""
    sources = {"data": trial.app.data} | {f"tables[{name!r}]": one.data for name, one in trial.app.tables.items()}
    functions = {name: one for name, one in sources.items() if callable(one)}
    files = _files(sources)
    for one in reached:
        what = next((name for name, function in functions.items() if _same(function, one.value)), "")
        if not what and isinstance(one.value, str):
            what = files.get(Path(one.value).name, "") if _names_a_source(one.value) else ""
        if what:
            yield _seen(one, f"the app's {what}")
        elif not isinstance(one.value, str):
            table = _history(trial, one.value)
            if table:
                yield _seen(one, table)


def _same(function: Any, value: Any) -> bool:
    """Say whether a value is a function, or a copy: what comes out of a pickle by value brings its own globals."""
    if not (isinstance(function, types.FunctionType) and isinstance(value, types.FunctionType)):
        return function is value
    return function is value or (function.__qualname__, function.__code__) == (value.__qualname__, value.__code__)


def _seen(one: Reached, what: str) -> Offence:
    return Offence(
        one.name,
        f"{one.by} can see rows after the cutoff: {one.name} is {what}. Let it learn from what fit(X, y) is given",
    )


def _files(sources: dict[str, Any]) -> dict[str, str]:
    """Return the file names that the app's data come from: given as a path, or named by the function that reads."""
    made: dict[str, str] = {}
    for name, source in sources.items():
        if callable(source):
            texts = [one.value for one in reach(source) if isinstance(one.value, str)]
        else:
            texts = [str(source)]
        made |= {Path(text).name: f"{name} ({Path(text).name})" for text in texts if _names_a_source(text)}
    return made


def _names_a_source(text: str) -> bool:
    return len(text) < 300 and "\n" not in text and text.lower().endswith(_ENDS)


def _history(trial: Trial, value: Any) -> str:
    """Say how a value is as long as the history, or nothing."""
    shape, n = _shape(value), len(trial.timeline.time)
    if not shape or shape[0] < max(_SHARE * n, 100):
        return ""
    given: Any = value.column_names if hasattr(value, "column_names") else getattr(value, "columns", ())
    names = [] if callable(given) else list(given)
    if names:
        shared = {str(name) for name in names} & {*trial.events.raw.columns, *trial.events.columns}
        return f"a table of {shape[0]:,} rows with its column {min(shared)!r}" if shared else ""
    if isinstance(value, np.ndarray) and value.ndim <= 2 and shape[0] <= _LARGER * n:
        return f"an array of {shape[0]:,} rows, and the history has {n:,}"
    return ""


def _shape(value: Any) -> tuple[int, ...]:
    if inspect.isclass(value):
        return ()
    rows = getattr(value, "num_rows", None)
    if isinstance(rows, int):
        return (rows,)
    shape: Any = getattr(value, "shape", ())
    whole = isinstance(shape, tuple) and all(isinstance(side, int | np.integer) for side in shape)
    return tuple(int(side) for side in shape) if whole else ()


def functions_of(reached: Iterable[Reached]) -> list[Callable[..., Any]]:
    """Return the user's functions among what was reached."""
    return [
        one.value for one in reached if isinstance(one.value, types.FunctionType) and is_users(one.value.__module__)
    ]
