"""Where inputs come from, as their history shows it: its own later rows, judged by the others, may raise no alarm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mlwild.guards.settings import Guard
from mlwild.guards.watch import Stream, new_stream
from mlwild.stats.support import Support, learn_support

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A fifth of the rows that a stream of inputs is judged from, at least.
FEWEST = 200
#: Rows that the support learns from, evenly spaced; and rows that it is tried and calibrated on, on end.
MOST_LEARNED = 20_000
#: Stretches of the history that are each judged by the others.
FOLDS = 4
#: Factors of p-values that are tried, until what came later in the history raises no alarm; above the last, none is.
SLACKS = (1.0, 2.0, 4.0, 8.0, 16.0)
#: Share of the rows of a stretch that may be strange by themselves: rare spells, whose slack would hide all else.
SPELLS = 0.01
#: Correlation of ranks with time from which on a feature goes on; the same if most strange rows have it beyond all
#: others, nearly as many as any other feature; and the rows, evenly spaced, that show it.
GOES, RISES, NEARLY, SHOWN = 0.95, 0.5, 0.9, 1000


class _Tried(NamedTuple):
    """What a stretch asks for: slack of the stream; and what most of its rows that are strange have beyond others."""

    slack: float
    beyond: list[int]


def learn_stream(
    rows: Floats, typical: Floats, settings: Guard, known: Sequence[int] = ()
) -> tuple[Stream | None, tuple[int, ...]]:
    """
    Learn where inputs come from, with as much slack as the history's own drift and weather ask for.

    Each stretch of the history is judged by the others, and the latest rows by the earlier ones, as live rows will be:
    honest rows come in spells, and no theory of rows that come in any order says how long. The slack is twice what lets
    them all pass without an alarm. A feature that is always further on, as dates and running numbers are, makes each
    later row strange, whatever the slack: it is left out of account.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        In order of time, NaN where a value is missing; none is infinite.
    typical : ndarray of shape (n_features,)
        What stands for a feature that is left out.
    settings : Guard
    known : sequence of int
        Features of which it is known that they go on.

    Returns
    -------
    Stream or None
        None where too few rows are there.
    tuple of int
        Features that are left out.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(2000, 2))
    >>> stream, going = learn_stream(np.column_stack([x, np.arange(2000.0)]), np.zeros(3), Guard())
    >>> going, stream.slack
    ((2,), 2.0)
    """
    n = len(rows)
    if n < 5 * FEWEST:
        return None, tuple(known)
    # Drift shows at the end; rare spells show wherever they came, so that each stretch is judged by the others too.
    edges = np.linspace(0, n, FOLDS + 1).astype(np.int64)
    last = n - min(3 * n // 10, MOST_LEARNED)
    stretches = [(last, n, np.arange(last))]
    stretches += [(low, high, np.r_[0:low, high:n]) for low, high in pairwise(edges.tolist())]
    shown = rows[np.linspace(0, n - 1, min(n, SHOWN)).round().astype(np.int64)]
    going = sorted({*known, *(place for place, one in enumerate(shown.T) if _along(one) >= GOES)})
    tried = list[_Tried]()
    left = _without(rows, going, typical)
    while len(tried) < len(stretches):
        low, high, others = stretches[len(tried)]
        found = _tried(left[others], left[low:high], settings)
        tried.append(found)
        more = [one for one in found.beyond if _along(shown[:, one]) >= RISES]
        if more:  # all is judged anew without these
            going, tried = going + more, []
            left = _without(rows, going, typical)
    slack = max(one.slack for one in tried)
    return new_stream(_support(left), 2.0 * slack, settings), tuple(sorted(going))


def _without(rows: Floats, going: list[int], typical: Floats) -> Floats:
    """Return rows in which some features are usual throughout."""
    made = rows.copy()
    made[:, going] = typical[going]
    return made


def _along(column: Floats) -> float:
    """Return how far a feature rises or falls with time, from 0 to 1."""
    known = np.flatnonzero(~np.isnan(column))
    ranks = rankdata(column[known])
    if len(known) < 3 or ranks.min() == ranks.max():
        return 0.0
    return abs(float(np.corrcoef(ranks, known)[0, 1]))


def _tried(others: Floats, rows: Floats, settings: Guard) -> _Tried:
    """Judge the rows of a stretch by others."""
    support = _support(others)
    p = support.tail(rows)
    slack = _slack(support, np.maximum(p, 1.0 / (support.n + 1.0)), settings)
    strange, most = p <= settings.fdr, int(max(SPELLS, settings.fdr) * len(rows))
    if strange.sum() <= most:
        return _Tried(slack, [])
    gaps = np.isnan(others)
    low, high = np.where(gaps, np.inf, others).min(axis=0), np.where(gaps, -np.inf, others).max(axis=0)
    beyond = ((rows[strange] < low) | (rows[strange] > high)).mean(axis=0)
    return _Tried(slack, np.flatnonzero(beyond > max(0.5, NEARLY * beyond.max())).tolist())


def _slack(support: Support, p: Floats, settings: Guard) -> float:
    """Return the least factor of p-values with which a stretch raises no alarm; infinite where none is small enough."""
    for one in SLACKS:
        if new_stream(support, one, settings).detector.feed_all(np.minimum(1.0, one * p))[1] is None:
            return one
    return math.inf


def _support(rows: Floats) -> Support:
    """Learn from the earlier rows, and calibrate on the latest."""
    later = min(len(rows) // 4, MOST_LEARNED)
    earlier = rows[: len(rows) - later]
    picked = np.linspace(0, len(earlier) - 1, min(len(earlier), MOST_LEARNED)).round().astype(np.int64)
    return learn_support(earlier[picked], rows[len(rows) - later :])
