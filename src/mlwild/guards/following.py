"""How wide intervals and sets have to be: what was promised of rows that were lived through, and what came."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.contracts.tables import kind_of
from mlwild.guards.encoding import NUMBERS, Encoding
from mlwild.guards.outcomes import likeliest_of
from mlwild.stats.local_radii import LocalRadii, Radii

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Rows of a period that are learned from, at most, evenly spaced: the window that radii come from spans one at least.
MOST_FED = 500


def looks(ask: str, rows: Floats, value: Floats) -> Floats:
    """
    Return what the radius of a row is made from: its features, and its answer or how sure that is.

    Examples
    --------
    >>> looks("probability", np.zeros((1, 2)), np.array([0.25])).tolist()
    [[0.0, 0.0, 0.75]]
    """
    made = np.empty((len(rows), rows.shape[1] + 1))
    made[:, :-1] = rows
    made[:, -1] = likeliest_of(value)[1] if ask.startswith("probab") else value
    return made


def numbers_of(table: Any) -> Floats:
    """
    Return the columns of a table as numbers; NaN for words and times: those lie in no order, or always further on.

    Examples
    --------
    >>> import pyarrow as pa
    >>> numbers_of(pa.table({"x": [1, None], "word": ["a", "b"]})).tolist()
    [[1.0, nan], [nan, nan]]
    """
    places = [place for place, column in enumerate(table.columns) if kind_of(column) in NUMBERS]
    made = np.full((table.num_rows, table.num_columns), np.nan)
    part = table.select(places)
    made[:, places] = Encoding(part.schema, "pyarrow").matrix(part)[0]
    return made


def radii_of(radii: Radii, ask: str, rows: Floats | None, value: Floats) -> Floats:
    """Return the radius of each answer; that of all rows alike where theirs cannot be believed."""
    if radii.difficulty is None or rows is None:
        return np.full(len(value), radii.fixed)
    return radii.of(rows, (likeliest_of(value)[1] if ask.startswith("probab") else value)[:, None])


def follow(rows: Floats, scores: Floats, period: Ints, told: Ints, *, level: float) -> tuple[LocalRadii, Floats]:
    """
    Live through rows: at each cutoff radii are fixed for the rows of its period, from the outcomes known by then.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        As `looks` gives them, in the order in which they were asked.
    scores : ndarray of shape (n_rows,)
        How far off each answer was; NaN where nobody can say.
    period : ndarray of int, shape (n_rows,)
        Of each row; never falling.
    told : ndarray of int, shape (n_rows,)
        First period at whose beginning each outcome was known, after its own.
    level : float
        Share of the outcomes that radii are to hold.

    Returns
    -------
    LocalRadii
        After the last outcome.
    ndarray of shape (n_rows,)
        The radius of each row; infinite before the first outcome.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(4000, 1))
    >>> scores = np.abs(x[:, 0] * rng.normal(size=4000))
    >>> at = np.arange(4000)
    >>> local, radii = follow(x, scores, at // 400, at // 400 + 1, level=0.9)
    >>> round(float((scores <= radii)[400:].mean()), 2), local.tracked.outcomes
    (0.9, 3600)
    """
    radii = np.full(len(rows), np.inf)
    begins = np.flatnonzero(np.diff(period, prepend=period[0] - 1)) if len(period) else np.zeros(0, dtype=np.int64)
    step = -(-int(np.median(np.diff(begins, append=len(rows)))) // MOST_FED) if len(begins) else 1
    fed = np.arange(0, len(rows), step)
    fed = fed[np.isfinite(scores[fed])]
    # In the order in which they were told; of one time, in the order in which they were asked.
    fed = fed[np.argsort(told[fed], kind="stable")]
    local = LocalRadii(level=level, lag=_lag(period[np.sort(fed)], period[fed], told[fed]))
    at = 0
    for first, last in pairwise([*begins.tolist(), len(rows)]):
        until = int(np.searchsorted(told[fed], period[first], side="right"))
        _take(local, rows, scores, radii, fed[at:until])
        at = until
        radii[first:last] = local.radii(rows[first:last])
    _take(local, rows, scores, radii, fed[at:])
    return local, radii


def _lag(asked: Ints, period: Ints, told: Ints) -> int:
    """Return how many radii are fixed before an outcome is known, in the middle."""
    if not len(period):
        return 1
    between = np.searchsorted(asked, told) - np.searchsorted(asked, period)
    return max(1, int(np.median(between)))


def _take(local: LocalRadii, rows: Floats, scores: Floats, radii: Floats, told: Ints) -> None:
    """Take in outcomes that have become known."""
    promised = np.isfinite(radii[told])
    new, due = told[~promised], told[promised]
    local.learn(rows[new], scores[new].tolist())
    local.feed(rows[due], scores[due].tolist(), radii[due].tolist())
