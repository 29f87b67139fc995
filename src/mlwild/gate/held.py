"""Rows of an app as tests receive them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.errors import DataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Held:
    """
    Some rows with their features and labels, in order of time.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        Their numbers in the app's history, in order of time.
    table : pyarrow.Table of shape (n, n_features)
        Features.
    kind : str
        Kind of frame that the app's features function returned.
    labels : ndarray of shape (n,)
        Numbers, or class numbers.
    classes : ndarray of shape (n_classes,) or None
        The classes that the numbers stand for.
    time : ndarray of int64, shape (n,)
    period : ndarray of int64, shape (n,)
        Number of the period that each row belongs to.
    weight : ndarray of float64, shape (n,)
        1, or one over the propensity.
    groups : mapping of str to ndarray of shape (n,)
        The app's declared groups.
    raw : narwhals.DataFrame of shape (n, n_columns)
        The app's own rows, labels and all.
    changed : bool
        Whether the features are others than those of the history.
    entity : ndarray of int64, shape (n,), optional
        Number of whom each row is about; a row without one has a number of its own. None where the app names none.

    Examples
    --------
    >>> import narwhals as nw, pyarrow as pa
    >>> table = pa.table({"x": [1.0, 2.0, 3.0]})
    >>> held = Held(
    ...     np.arange(3), table, "pyarrow", np.array([0.0, 1.0, 0.0]), None, np.arange(3), np.zeros(3, int), np.ones(3),
    ...     {}, nw.from_native(table, eager_only=True),
    ... )
    >>> len(held.where(held.labels < 0.5))
    2
    """

    rows: Ints
    table: Any
    kind: str
    labels: NDArray[Any]
    classes: NDArray[Any] | None
    time: Ints
    period: Ints
    weight: Floats
    groups: Mapping[str, NDArray[Any]]
    raw: frames.Frame = field(repr=False)
    changed: bool = False
    entity: Ints | None = None

    def __post_init__(self) -> None:
        """Lock the arrays: a test that writes into them would change what the next one sees."""
        for name in ("rows", "labels", "time", "period", "weight"):
            object.__setattr__(self, name, _locked(getattr(self, name)))
        if self.entity is not None:
            object.__setattr__(self, "entity", _locked(self.entity))
        object.__setattr__(self, "groups", {name: _locked(values) for name, values in self.groups.items()})

    def __repr__(self) -> str:
        """Say how many rows there are; they themselves would fill a screen."""
        return f"Held({len(self):,} rows)"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @property
    def features(self) -> Any:
        """The features in the user's kind of frame; made anew each time: who changes it changes no other."""
        return frames.from_arrow(self.table, self.kind, "events")

    @property
    def frame(self) -> Any:
        """The app's own rows in the user's kind of frame; a copy each time."""
        return self.raw.clone().to_native()

    @property
    def weights(self) -> Floats | None:
        """Weight of each row; None where all count alike."""
        return None if not len(self) or np.ptp(self.weight) == 0 else self.weight

    @property
    def answers(self) -> NDArray[Any]:
        """Labels as the app has them: classes, or numbers, shape (n,)."""
        return self.labels if self.classes is None else self.classes[self.labels]

    @property
    def columns(self) -> list[str]:
        """Names of the features."""
        return list(self.table.column_names)

    def where(self, chosen: Any) -> Held:
        """
        Return some of the rows.

        Parameters
        ----------
        chosen : array-like of bool or int, shape (n,) or (m,)
            A mask, or positions within these rows.

        Raises
        ------
        DataError
            If a mask has another length.
        """
        picked = np.asarray(chosen)
        if picked.dtype == bool:
            if picked.shape != (len(self),):
                raise DataError(f"events: a mask of shape {picked.shape} for {len(self)} rows; give one value a row.")
            picked = np.flatnonzero(picked)
        picked = picked.astype(np.int64)
        return Held(
            self.rows[picked],
            self.table.take(picked),
            self.kind,
            self.labels[picked],
            self.classes,
            self.time[picked],
            self.period[picked],
            self.weight[picked],
            {name: values[picked] for name, values in self.groups.items()},
            frames.take(self.raw, picked),
            self.changed,
            None if self.entity is None else self.entity[picked],
        )

    def evenly(self, most: int) -> Held:
        """Return at most so many of the rows, evenly spaced."""
        if len(self) <= most:
            return self
        return self.where(np.linspace(0, len(self) - 1, most).round().astype(np.int64))

    def with_features(self, features: Any) -> Held:
        """
        Return the same rows with other features.

        Parameters
        ----------
        features : frame or ndarray of n rows
            With the same columns, in any order.

        Raises
        ------
        DataError
            If a row or a column is missing.
        """
        table, _ = frames.to_arrow(features, "features")
        if self.kind == "numpy":
            table = table.rename_columns(self.columns) if table.num_columns == len(self.columns) else table
        missing = [name for name in self.columns if name not in table.column_names]
        if table.num_rows != len(self) or missing:
            what = f"no column {missing[0]!r}" if missing else f"{table.num_rows} rows for {len(self)} events"
            raise DataError(f"features: have {what}. Return the same rows and columns, with other values.")
        return replace(self, table=table.select(self.columns), changed=True)


def _locked(values: NDArray[Any]) -> NDArray[Any]:
    view = np.asarray(values).view()
    view.flags.writeable = False
    return view
