"""Transforms of rows that leave their label as it is: to train on, and to see what a model hangs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.errors import AppError
from mlwild.remedies import rows

Floats = NDArray[np.float64]

#: ``f(X, rng)`` returns as many rows of the same kind; it may take a keyword `donors`, rows to borrow from.
Transform = Callable[..., Any]


@dataclass(frozen=True)
class Spliced:
    """
    Rows of which a block of neighbouring columns comes from another row.

    What the model hangs on in one place no longer goes with the label; the rest of the row still does.

    Parameters
    ----------
    low, high : float
        Least and greatest share of the columns that are swapped, 0 < low <= high < 1; one column at least.

    Examples
    --------
    >>> made = Spliced(0.5, 0.5)(np.zeros((2, 4)), np.random.default_rng(0), donors=np.ones((2, 4)))
    >>> made.sum(axis=1).tolist()
    [2.0, 2.0]
    """

    low: float = 0.2
    high: float = 0.5

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 < self.low <= self.high < 1:
            raise AppError(f"low, high: {self.low!r} and {self.high!r} must be shares, low first.")

    def __call__(self, X: Any, rng: np.random.Generator, donors: Any = None) -> Any:  # noqa: N803
        """Return transformed rows; donors default to the rows themselves."""
        n, width = rows.count(X), len(rows.names(X))
        lent = _drawn(X if donors is None else donors, n, rng)
        least, most = max(1, round(self.low * width)), max(1, round(self.high * width))
        size = rng.integers(least, most + 1, n)
        begin = (rng.random(n) * (width - size + 1)).astype(np.int64)
        place = np.arange(width)
        swapped = (place >= begin[:, None]) & (place < (begin + size)[:, None])
        if isinstance(X, np.ndarray):
            return np.where(swapped, lent, X)
        own, other = frames.eager(X, "transform"), frames.eager(lent, "transform")
        made = []
        for at, name in enumerate(own.columns):
            kept = nw.new_series("kept", ~swapped[:, at], backend=own.implementation)
            made.append(own.get_column(name).zip_with(kept, other.get_column(name)).alias(name))
        return own.with_columns(*made).to_native()


@dataclass(frozen=True)
class Recombined:
    """
    Rows with their own broad shape and the details of another row.

    The broad shape is a row's projection on the first principal components, the details are the rest. It
    suits many columns of one kind, such as pixels or a spectrum. Columns that hold no fractions stay as
    they are; gaps stay gaps; values stay within the range of their column.

    Parameters
    ----------
    components : int
        At least 1; more keep more of the row itself.

    References
    ----------
    .. [1] Goel, K., Gu, A., Li, Y., & Re, C. (2021). Model patching: closing the subgroup performance gap with data
       augmentation. ICLR. There the transformation between groups is learned by a network; this is a linear
       stand-in for tables.

    Examples
    --------
    >>> X = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [3.0, 3.0, 0.0], [4.0, 4.0, 1.0]])
    >>> Recombined(1)(X, np.random.default_rng(0), donors=X[:1]).shape
    (4, 3)
    """

    components: int = 40

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.components < 1:
            raise AppError(f"components: {self.components!r} is not at least 1.")

    def __call__(self, X: Any, rng: np.random.Generator, donors: Any = None) -> Any:  # noqa: N803
        """Return transformed rows; donors default to the rows themselves."""
        n = rows.count(X)
        lent = _drawn(X if donors is None else donors, n, rng)
        names = _fractions(X)
        if not names:
            return X
        own, other = _table(X, names), _table(lent, names)
        both = np.concatenate([own, other])
        middle = np.nanmean(both, axis=0, where=~np.isnan(both).all(axis=0))
        filled, borrowed = (np.where(np.isnan(table), middle, table) for table in (own, other))
        axes = _components(np.concatenate([filled, borrowed]) - middle, self.components)
        broad = middle + (filled - middle) @ axes.T @ axes
        details = borrowed - middle - (borrowed - middle) @ axes.T @ axes
        made = np.clip(broad + details, np.nanmin(both, axis=0), np.nanmax(both, axis=0))
        made = np.where(np.isnan(own), np.nan, made)
        if isinstance(X, np.ndarray):
            return made.astype(X.dtype)
        frame = frames.eager(X, "transform")
        columns = [
            nw.new_series(name, made[:, at], dtype=frame.schema[name], backend=frame.implementation)
            for at, name in enumerate(names)
        ]
        return frame.with_columns(*columns).to_native()


def _drawn(donors: Any, n: int, rng: np.random.Generator) -> Any:
    return rows.take(donors, rng.integers(0, rows.count(donors), n))


def _fractions(X: Any) -> list[str]:  # noqa: N803
    """Return the columns that hold fractions and some value."""
    if isinstance(X, np.ndarray):
        return rows.names(X) if X.dtype.kind == "f" else []
    frame = frames.eager(X, "transform")
    return [name for name in frame.columns if frame.schema[name].is_float()]


def _table(X: Any, names: list[str]) -> Floats:  # noqa: N803
    if isinstance(X, np.ndarray):
        return X.astype(np.float64)
    columns = []
    for name in names:
        values, missing = rows.column(X, name, "transform")
        columns.append(np.where(missing, np.nan, values.astype(np.float64)))
    return np.column_stack(columns)


def _components(centred: Floats, most: int) -> Floats:
    """Return the first principal axes, shape (at most `most`, n_columns)."""
    square = centred.T @ centred
    _, vectors = np.linalg.eigh(square)
    return np.ascontiguousarray(vectors[:, ::-1][:, :most].T)
