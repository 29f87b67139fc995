"""Which features are to blame for strange rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.support import Support
from mlwild.stats.suspects import Distances, column_gains, likeliest, pair_gains

Floats = NDArray[np.float64]

#: Likeliest features beside which a second one is looked for.
FIRSTS = 3
#: Features on end, the likeliest first, of which none explains what is strange: those after them are not tried.
MOST_VAIN = 32
#: If more pairs are in question none is blamed.
MOST_PAIRS = 8


def blamed_for(support: Support, slack: float, rows: Floats) -> tuple[int, ...]:
    """
    Return the features without which strange rows are, together, as usual; none where there are none such.

    It is the likeliest one, and with it all that cannot be told from it: of features that say the same, either
    explains what is strange. If no one does, it may be two. Where more than half of the features are in question, none
    is blamed.

    Parameters
    ----------
    support : Support
    slack : float
        Factor of p-values that lets honest drift pass; infinite for none.
    rows : ndarray of shape (n_rows, n_features)

    Returns
    -------
    tuple of int
        Rising.

    Examples
    --------
    >>> from mlwild.stats.support import learn_support
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(2000, 1)) + 0.5 * rng.normal(size=(2000, 5))
    >>> support = learn_support(rows[:1000], rows[1000:])
    >>> strange = rows[:30] + np.array([0.0, 0.0, 0.0, 1.5, 0.0])
    >>> blamed_for(support, 1.0, strange)
    (3,)
    """
    n = rows.shape[1]
    if n < 2:
        return ()
    distances = support.scorer.distances(rows)
    gains = column_gains(distances)
    order = np.argsort(-gains.sum(axis=1), kind="stable")
    found = _ones(support, slack, rows, order[likeliest(gains)[1][order]].tolist())
    if not found and n > 2:
        found = _two(support, slack, rows, distances, order[:FIRSTS].tolist())
    return tuple(sorted(found)) if len(found) <= min(max(n // 2, 2), n - 1) else ()


def _ones(support: Support, slack: float, rows: Floats, near: Sequence[int]) -> set[int]:
    """Return which features, the likeliest first, each explain what is strange; none is sought long in vain."""
    found: set[int] = set()
    vain = 0
    for one in near:
        usual = _usual(support, slack, rows, (one,))
        vain = 0 if usual else vain + 1
        if usual:
            found.add(one)
        elif vain == MOST_VAIN:
            break
    return found


def _two(support: Support, slack: float, rows: Floats, distances: Distances, firsts: Sequence[int]) -> set[int]:
    """Return the features of the pairs that may be to blame together, each of which has one of some features."""
    n = rows.shape[1]
    gains = np.stack([pair_gains(distances, one) for one in firsts])
    near = np.flatnonzero(likeliest(gains.reshape(-1, len(rows)))[1]).tolist()
    pairs = {tuple(sorted((firsts[place // n], place % n))) for place in near}
    if len(pairs) > MOST_PAIRS:
        return set()
    return {one for pair in pairs if len(set(pair)) == 2 and _usual(support, slack, rows, pair) for one in pair}


def usual_rows(support: Support, slack: float, rows: Floats, left: Sequence[int]) -> NDArray[np.bool_]:
    """Say which of some rows are, each by itself, as usual if some features are left out of account."""
    return np.asarray(_surprises(support, slack, rows, left) <= _most(1))


def _usual(support: Support, slack: float, rows: Floats, left: Sequence[int]) -> bool:
    return float(_surprises(support, slack, rows, left).mean()) <= _most(len(rows))


def _most(n: int) -> float:
    """Return the greatest mean surprise of n rows that is usual: that of honest ones is 1, and so is its deviation."""
    return 1.0 + 2.0 / math.sqrt(n)


def _surprises(support: Support, slack: float, rows: Floats, left: Sequence[int]) -> Floats:
    p = np.minimum(1.0, (slack if slack < math.inf else 1.0) * support.look(rows, left)[0])
    return -np.log(np.maximum(p, np.finfo(np.float64).tiny))  # far out, it runs below what a number can hold
