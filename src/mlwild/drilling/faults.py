"""Faults that befall features and models, each at some severities, for a stretch of rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.contracts.tables import kind_of
from mlwild.guards.stages import Predict

#: Severities of every fault: a little, half, all.
SEVERITIES = (0.1, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Scene:
    """
    What a fault befalls.

    Parameters
    ----------
    table : pyarrow.Table of n_rows
        Features of live rows, in order.
    begins, ends : int
        The fault lasts from the one row to before the other.
    """

    table: Any
    begins: int
    ends: int

    def hit(self, rng: np.random.Generator, severity: float) -> NDArray[np.int64]:
        """Return the rows that are befallen: a share of those of the stretch."""
        rows = np.arange(self.begins, self.ends)
        picked = rng.choice(rows, max(1, round(severity * len(rows))), replace=False)
        return np.sort(picked).astype(np.int64)

    @property
    def numbers(self) -> list[str]:
        """Features that hold numbers and vary."""
        return [
            one.name
            for one in self.table.schema
            if kind_of(one) in ("number", "integer") and len(self.table.column(one.name).unique()) > 2
        ]

    def put(self, name: str, rows: NDArray[np.int64], values: Any) -> Any:
        """Return the table with other values in some rows of a column."""
        import pyarrow as pa

        column = self.table.column(name).combine_chunks()
        cells = np.array(column.to_pylist(), dtype=object)
        cells[rows] = _exact(values) if pa.types.is_decimal(column.type) else values
        # What is made of times anew has no nanoseconds: all others would differ too.
        kind = column.type if pa.types.is_temporal(column.type) else None
        return _with(self.table, name, pa.array(cells.tolist(), kind, from_pandas=True))


Change = Callable[[Scene, np.random.Generator, float], Any]


@dataclass(frozen=True)
class Fault:
    """
    A fault.

    Parameters
    ----------
    name : str
    of : str
        What the severity is a share of.
    change : callable, optional
        ``change(scene, rng, severity)`` returns the table with the fault in it; None where there is nothing to befall.
    model : str
        Instead: what the champion does: ``raises``, ``hangs`` or ``returns NaN``.

    Examples
    --------
    >>> [fault.name for fault in FAULTS][:3]
    ['missing column', 'empty rows', 'unit slip']
    """

    name: str
    of: str
    change: Change | None = None
    model: str = ""


def _with(table: Any, name: str, column: Any) -> Any:
    """Return a table with another column; where its kind is another, pandas is not told that it is as it was."""
    place, said = table.schema.get_field_index(name), dict(table.schema.metadata or {})
    made = table.set_column(place, name, column)
    if b"pandas" not in said or column.type == table.schema.field(name).type:
        return made
    noted = json.loads(said[b"pandas"])
    noted["columns"] = [one for one in noted["columns"] if one.get("field_name") != name]
    return made.replace_schema_metadata(said | {b"pandas": json.dumps(noted).encode()})


def _exact(values: Any) -> Any:
    """Return numbers as those of a column of decimals are."""
    if isinstance(values, list):
        return [_exact(one) for one in values]
    return Decimal(repr(values)) if isinstance(values, float) and math.isfinite(values) else values


def _some(names: Sequence[str], rng: np.random.Generator, severity: float) -> list[str]:
    picked = rng.choice(len(names), max(1, round(severity * len(names))), replace=False)
    return [names[one] for one in sorted(picked.tolist())]


def _one(scene: Scene, rng: np.random.Generator) -> str | None:
    names = scene.numbers
    return names[int(rng.integers(len(names)))] if names else None


def _values(scene: Scene, name: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return frames.matrix(scene.table.select([name]).take(rows))[:, 0]


def missing_column(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Leave columns out: while the fault lasts they are all missing."""
    rows, made = np.arange(scene.begins, scene.ends), scene
    for name in _some(scene.table.column_names, rng, severity):
        made = Scene(made.put(name, rows, None), scene.begins, scene.ends)
    return made.table


def empty_rows(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Empty rows in every column."""
    rows, made = scene.hit(rng, severity), scene
    for name in scene.table.column_names:
        made = Scene(made.put(name, rows, None), scene.begins, scene.ends)
    return made.table


def scattered_gaps(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Empty cells here and there: each row lacks other columns."""
    made = scene
    for name in scene.table.column_names:
        made = Scene(made.put(name, scene.hit(rng, severity), None), scene.begins, scene.ends)
    return made.table


def _moved(how: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Change:
    def change(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
        name, rows = _one(scene, rng), scene.hit(rng, severity)
        return None if name is None else scene.put(name, rows, how(_values(scene, name, rows)).tolist())

    return change


def swapped(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Exchange two columns of numbers."""
    names, rows = scene.numbers, scene.hit(rng, severity)
    if len(names) < 2:
        return None
    a, b = (names[one] for one in rng.choice(len(names), 2, replace=False).tolist())
    first = Scene(scene.put(a, rows, _values(scene, b, rows).tolist()), scene.begins, scene.ends)
    return first.put(b, rows, _values(scene, a, rows).tolist())


def stuck(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Let a column stand still, for a share of the stretch."""
    name = _one(scene, rng)
    if name is None:
        return None
    rows = np.arange(scene.begins, scene.begins + max(1, round(severity * (scene.ends - scene.begins))))
    value = scene.table.column(name)[scene.begins].as_py()
    return scene.put(name, rows, value)


def new_category(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Put a word that never came before; where there are only numbers, one far beyond all."""
    words = [one.name for one in scene.table.schema if kind_of(one) == "text"]
    rows = scene.hit(rng, severity)
    if words:
        return scene.put(words[int(rng.integers(len(words)))], rows, "never seen")
    name = _one(scene, rng)
    if name is None:
        return None
    values = _values(scene, name, np.arange(scene.table.num_rows))
    return scene.put(name, rows, float(np.nanmax(values) + 10 * np.nanstd(values) + 1))


def stale(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Give a column the values of earlier rows: by a share of the rows before the fault."""
    name = _one(scene, rng)
    if name is None:
        return None
    rows, lag = np.arange(scene.begins, scene.ends), max(1, round(severity * scene.begins))
    return scene.put(name, rows, _values(scene, name, rows - lag).tolist())


def text_for_numbers(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Make text of columns of numbers, all along."""
    made, names = scene.table, scene.numbers
    if not names:
        return None
    for name in _some(names, rng, severity):
        cells = [None if one is None else f"{one} kW" for one in made.column(name).to_pylist()]
        made = _with(made, name, _words(cells))
    return made


def out_of_order(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Shuffle a share of the rows of the stretch; returned is their new order, since labels move with them."""
    order, rows = np.arange(scene.table.num_rows), scene.hit(rng, severity)
    order[rows] = rng.permutation(rows)
    return order


def doubled(scene: Scene, rng: np.random.Generator, severity: float) -> Any:
    """Send a share of the rows of the stretch again, at once; returned is their new order."""
    rows = scene.hit(rng, severity)
    return np.sort(np.concatenate([np.arange(scene.table.num_rows), rows]))


def _words(cells: list[str | None]) -> Any:
    import pyarrow as pa

    return pa.array(cells, pa.string())


FAULTS = (
    Fault("missing column", "columns", missing_column),
    Fault("empty rows", "rows", empty_rows),
    Fault("unit slip", "rows", _moved(lambda values: values * 1000.0)),
    Fault("scattered gaps", "cells", scattered_gaps),
    Fault("sign flip", "rows", _moved(lambda values: -values)),
    Fault("swapped columns", "rows", swapped),
    Fault("stuck value", "the stretch", stuck),
    Fault("new category", "rows", new_category),
    Fault("stale feature", "the rows before", stale),
    Fault("text for numbers", "columns", text_for_numbers),
    Fault("rows out of order", "rows", out_of_order),
    Fault("rows doubled", "rows", doubled),
    Fault("model raises", "calls", model="raises"),
    Fault("model hangs", "calls", model="hangs"),
    Fault("model returns NaN", "calls", model="returns NaN"),
)


@dataclass
class Failing:
    """A champion that fails in a share of its calls while a fault lasts, and keeps the first row of the first such."""

    predict: Predict
    how: str
    severity: float
    rng: np.random.Generator
    lasts: bool = field(default=False)
    at: int = field(default=0)
    first: int | None = field(default=None)

    def __call__(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Answer, or fail."""
        if not self.lasts or self.rng.random() >= self.severity:
            return self.predict(X)
        self.first = self.at if self.first is None else self.first
        if self.how == "raises":
            raise ArithmeticError
        if self.how == "hangs":  # whoever waits gives up at the deadline
            raise TimeoutError
        return np.full(np.shape(self.predict(X)), np.nan)
