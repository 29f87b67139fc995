"""When rows were asked for and when their labels were known: what splits must respect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """
    When rows were asked for and when their labels were known, and whom they are about.

    Parameters
    ----------
    time : ndarray of shape (n_rows,)
        In order; integers or datetimes.
    known_at : ndarray of shape (n_rows,), optional
        When each label arrived; default at once.
    entity : ndarray of shape (n_rows,), optional
        Rows of one entity are kept on one side where the scheme shuffles. Where it keeps the order of time they
        may be on both: live, too, the model knows an entity's past when the next row comes.

    Raises
    ------
    DataError
        If the times are not in order, a label is known before its row, or there is not one entity a row.
    """

    time: NDArray[Any]
    known_at: NDArray[Any] | None = None
    entity: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Check the order."""
        time = as_integers(self.time)
        if (np.diff(time) < 0).any():
            row = int(np.flatnonzero(np.diff(time) < 0)[0]) + 1
            raise DataError(f"time: row {row} comes before row {row - 1}. Sort the rows by time first.")
        if self.known_at is not None and (as_integers(self.known_at) < time).any():
            row = int(np.flatnonzero(as_integers(self.known_at) < time)[0])
            raise DataError(f"known_at: the label of row {row} is known before its time.")
        if self.entity is not None and len(self.entity) != len(time):
            raise DataError(f"entity: {len(self.entity)} for {len(time)} rows. Give one for each row.")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time)

    @property
    def asked(self) -> Ints:
        """Times as integers."""
        return as_integers(self.time)

    @property
    def known(self) -> Ints:
        """Arrivals as integers."""
        return self.asked if self.known_at is None else as_integers(self.known_at)


def as_integers(values: NDArray[Any]) -> Ints:
    """Return times as integers: nanoseconds, or the integers themselves."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return array.astype("datetime64[ns]").astype(np.int64)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    raise DataError(f"time: got {array.dtype}, need integers or datetimes (UTC for times with a zone).")


def checked(rows: Rows, X: Any) -> int:  # noqa: N803
    """Return the number of rows, after comparing it with that of X."""
    n = len(rows)
    if X is not None and hasattr(X, "__len__") and len(X) != n:
        raise DataError(f"X: has {len(X)} rows and the times have {n}. Give the times of these rows.")
    return n


def cut(time: Ints, parts: int) -> list[Ints]:
    """Cut rows into contiguous parts of about equal size; rows of the same instant stay together."""
    n = len(time)
    if parts < 2 or parts > n:
        raise DataError(f"splits: {n} rows cannot be cut into {parts} parts.")
    edges = [0]
    for part in range(1, parts):
        at = n * part // parts
        edges.append(max(int(np.searchsorted(time, time[at], side="left")), edges[-1]))
    made = [np.arange(low, high) for low, high in zip(edges, [*edges[1:], n], strict=True)]
    made = [part for part in made if len(part)]
    if len(made) < 2:
        raise DataError("splits: every row is of the same instant; there is no order to split by.")
    return made


def purge(rows: Rows, train: Ints, test: Ints, embargo: int = 0) -> Ints:
    """
    Drop training rows whose label was not settled apart from the test rows.

    A row is dropped if the span from its time to its label's arrival overlaps that of the test
    rows, or if it comes within `embargo` after them.

    References
    ----------
    .. [1] Lopez de Prado, M. (2018). Advances in Financial Machine Learning, chapter 7.

    Examples
    --------
    >>> rows = Rows(np.arange(10), np.arange(10) + 2)
    >>> purge(rows, np.r_[0:4, 6:10], np.array([4, 5])).tolist()
    [0, 1, 8, 9]
    """
    asked, known = rows.asked, rows.known
    drop = np.zeros(len(train), dtype=bool)
    # Test rows may lie in several stretches: purge about each.
    breaks = np.flatnonzero(np.diff(test) > 1) + 1
    for stretch in np.split(test, breaks):
        opens, closes = asked[stretch].min(), known[stretch].max()
        drop |= (asked[train] <= closes + embargo) & (known[train] >= opens)
    return train[~drop]
