"""How wide intervals and sets have to be: what was promised of rows that were lived through, and what came."""

from __future__ import annotations

from bisect import insort
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

#: Outcomes that are learned from for each cutoff that has gone by, at most, evenly spaced: the window that radii come
#: from spans one at least.
MOST_FED = 500
#: A row tells of at most so many times as many as rows do in their harmonic mean so far, which no single one can move:
#: beside it hardly any others would be left.
MOST_WEIGHT = 20.0


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


def radii_of(radii: Radii, ask: str, rows: Floats, value: Floats) -> Floats:
    """Return the radius of each answer."""
    if radii.difficulty is None:
        return radii.of(rows)
    return radii.of(rows, (likeliest_of(value)[1] if ask.startswith("probab") else value)[:, None])


def follow(
    rows: Floats, scores: Floats, period: Ints, told: Ints, *, level: float, weights: Floats | None = None
) -> tuple[LocalRadii, Floats]:
    """
    Live through rows: at each cutoff radii are fixed for the rows of its period, from the outcomes known by then.

    Nothing else has a part in them: which outcomes are learned from, and how late labels are, is told by those that had
    come. So a life that ends at a cutoff has the radii that a longer one had there.

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
    weights : ndarray of shape (n_rows,), optional
        Of how many rows each tells, above 0; of all those radii are to hold the share. Default: of itself alone.

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
    radii, read = np.full(len(rows), np.inf), np.zeros(len(rows), dtype=np.int64)
    begins = np.flatnonzero(np.diff(period, prepend=period[0] - 1)).tolist() if len(period) else []
    fed = _fed(scores, told, weights)
    local, late = LocalRadii(level=level), list[int]()

    def take(now: float) -> None:
        """Take in the outcomes that have become known, cutoff by cutoff."""
        while len(fed) and told[fed[0][0]] <= now:
            one = fed.pop(0)
            promised = np.isfinite(radii[one])
            new, due = one[~promised], one[promised]
            if len(due):
                # As many are fed between a radius and its outcome, with those that come with it, asked no earlier.
                beside = len(due) - np.searchsorted(period[due], period[due])
                for between in (local.tracked.outcomes - read[due] + beside).tolist():
                    insort(late, between)
                local.tracked.wait((late[(len(late) - 1) // 2] + late[len(late) // 2]) // 2)
            local.learn(rows[new], scores[new].tolist())
            local.feed(rows[due], scores[due].tolist(), radii[due].tolist())
            local.radii(rows[:0])  # what is hard is learned now, whether somebody asks before the next cutoff or not

    for first, last in pairwise([*begins, len(rows)]):
        take(period[first])
        radii[first:last] = local.radii(rows[first:last])
        read[first:last] = local.tracked.outcomes
    take(np.inf)
    return local, radii


def _fed(scores: Floats, told: Ints, weights: Floats | None) -> list[Ints]:
    """Return the rows whose outcomes are learned from: by when they were told, each in the order asked."""
    known = np.flatnonzero(np.isfinite(scores))
    known = known[np.argsort(told[known], kind="stable")]
    known = known if weights is None else known[_each(weights[known])]
    times, at = np.unique(told[known], return_index=True)
    # What comes at once after many cutoffs without an outcome counts as if it had come at each.
    gone_by = np.diff(times, prepend=times[:1] - 1)
    parts = zip(np.split(known, at[1:]), gone_by.tolist(), strict=True) if len(known) else ()
    return [part[:: -(-len(part) // (MOST_FED * gone))] for part, gone in parts]


def _each(weights: Floats) -> NDArray[np.bool_]:
    """
    Mark rows each of which tells of as many: of those that tell of fewer a part, as even as it can be.

    What is marked of the first rows does not hang on what comes after them. Great weights are cut, see `MOST_WEIGHT`.

    References
    ----------
    .. [1] Ionides, E. L. (2008). Truncated importance sampling. Journal of Computational and Graphical Statistics,
       17(2), 295-311.

    Examples
    --------
    >>> _each(np.array([2.0, 1.0, 1.0, 2.0, 1.0])).tolist()
    [True, False, True, True, False]
    """
    with np.errstate(over="ignore"):  # a propensity may be next to nothing
        mean = np.arange(1, len(weights) + 1) / np.cumsum(1.0 / weights)
        share = np.minimum(weights / np.minimum(np.maximum.accumulate(weights), MOST_WEIGHT * mean), 1.0)
    total = np.cumsum(share) + 1e-9
    return np.asarray(np.floor(total) > np.floor(total - share))
