"""How far past what was seen the honest next period may go: limits with slack, in few digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import nbinom

from mlwild.contracts.periods import Periods
from mlwild.stats.prediction import FEWEST, next_greatest, next_share, prediction_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Limits = tuple[float | None, float | None]

#: A limit that so few periods cannot place lies so many times as far from the median as the farthest value.
FAR = 10.0
#: Zero is taken for an end of the scale if the limit would pass it by so small a part of the distance to the median.
PAST_ZERO = 0.1
#: A greatest whole number that so many rows reached is an end of the scale, such as five stars.
OFTEN = 30


def by_period(values: NDArray[Any], periods: Periods) -> list[NDArray[Any]]:
    """Return the finite values of each period that is judged and has some."""
    judged = periods.judged
    made = []
    for place, (_, rows) in enumerate(periods):
        part = values[rows]
        part = part[np.isfinite(part)]
        if judged[place] and len(part):
            made.append(part)
    return made


def range_limits(values: NDArray[Any], parts: list[NDArray[Any]], chance: float, *, whole: bool) -> Limits:
    """
    Return limits that the next period's values pass, each with a chance of at most about `chance`.

    How far the greatest value of a period lies above the median of all follows Gumbel's law on the scale of
    logarithms, or a lighter one; the same below. Numbers that crowd at zero without passing it are not expected to.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        All finite values.
    parts : list of ndarray
        Those of each period.
    whole : bool
        Whether they are whole numbers.
    """
    centre = float(np.median(values))
    low, high = float(values.min()), float(values.max())
    above = np.array([float(part.max()) - centre for part in parts])
    below = np.array([centre - float(part.min()) for part in parts])
    top = centre + _reach(above, high - centre, chance)
    bottom = centre - _reach(below, centre - low, chance)
    if whole:
        ahead = max(len(part) for part in parts)
        top = max(top, high + next_steps(values, ahead, chance))
        bottom = min(bottom, low - next_steps(-values, ahead, chance))
    if low >= 0 > bottom and -bottom <= PAST_ZERO * (centre - low):
        bottom = 0.0
    if high <= 0 < top and top <= PAST_ZERO * (high - centre):
        top = 0.0
    return (bottom if math.isfinite(bottom) else None), (top if math.isfinite(top) else None)


def next_steps(values: NDArray[Any], ahead: int, chance: float) -> int:
    """
    Return how many steps above the greatest whole number the next ones may go, if it was not reached often.

    The tail is taken to go on falling by the factor of its last step, as that of counts does, or faster.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
    ahead : int
        Number of values to come.
    chance : float
        Chance that one of them goes further.

    Examples
    --------
    >>> next_steps(np.repeat([0, 1], [784, 16]), 100, 0.0006), next_steps(np.repeat([1, 2, 3, 4, 5], 50), 100, 0.0006)
    (3, 0)
    """
    top = values.max()
    reached, near = int((values >= top).sum()), int((values >= top - 1).sum())
    falls = reached / near if near > reached else 1 / len(values)
    if reached >= OFTEN and falls > 0.1:
        return 0
    return max(0, math.ceil(math.log(ahead * reached / (len(values) * chance)) / -math.log(falls)))


def _reach(distances: Floats, farthest: float, chance: float) -> float:
    seen = distances[distances > 0]
    if len(seen) < FEWEST:
        return FAR * farthest
    with np.errstate(over="ignore"):
        return max(float(np.exp(next_greatest(np.log(seen), chance)[1])), farthest)


def value_limits(values: Floats, chance: float, *, one_sign: bool) -> tuple[float, float]:
    """
    Return limits for a statistic of the next period; on the scale of logarithms where it can have one sign only.

    They hold all that was seen, and a step from the last value as great as steps were, so that a slow walk
    passes too.
    """
    if one_sign and (values > 0).all():
        low, high = (math.exp(min(end, 700.0)) for end in _linear(np.log(values), chance))
    elif one_sign and (values < 0).all():
        high, low = (-math.exp(min(end, 700.0)) for end in _linear(np.log(-values), chance))
    else:
        low, high = _linear(values, chance)
    return min(low, float(values.min())), max(high, float(values.max()))


def _linear(values: Floats, chance: float) -> tuple[float, float]:
    whole = prediction_limits(values, 2 * chance)
    steps = np.diff(values)
    if len(steps) < FEWEST:
        return whole
    # Steps of a walk have no mean of their own: their spread about zero.
    step = prediction_limits(np.concatenate([steps, -steps]), 2 * chance)[1]
    return min(whole[0], float(values[-1]) - step), max(whole[1], float(values[-1]) + step)


def missing_limit(gaps: NDArray[np.bool_] | None, periods: Periods, chance: float) -> float:
    """Return the share of missing values that the next period passes with at most that chance; 0 if none ever was."""
    if gaps is None:
        return 0.0
    judged = periods.judged
    counts, rows = periods.count(gaps)[judged], periods.rows[judged]
    limit = max(next_share(counts, rows, chance), float(gaps.mean()))
    return share_up(limit)


def new_limit(codes: Ints, periods: Periods, chance: float) -> tuple[float, str]:
    """
    Return the share of rows with a category never seen that the next period passes, and when the last one came.

    New ones are counted over the last two thirds of the periods, against all rows before. Categories that were seen
    in a single row foretell more of their kind (Good and Turing). Without either the set is closed: 0.

    References
    ----------
    .. [1] Good, I. J. (1953). The population frequencies of species. Biometrika, 40, 237-264.
    """
    known = codes >= 0
    first_period = np.full(int(codes.max(initial=-1)) + 1, len(periods))
    np.minimum.at(first_period, codes[known], np.where(periods.index >= 0, periods.index, len(periods))[known])
    new = known & (periods.index >= 0)
    new[known] &= first_period[codes[known]] == periods.index[known]
    counts, rows = periods.count(new), periods.rows
    late = (np.arange(len(periods)) >= len(periods) // 3) & periods.judged
    came = np.flatnonzero(late & (counts > 0))
    once = int((np.bincount(codes[known]) == 1).sum())
    limit = next_share(counts[late], rows[late], chance) if late.sum() >= FEWEST else 0.0
    if once:
        n, ahead = int(known.sum()), int(np.median(rows[periods.judged]))
        limit = max(limit, float(nbinom.isf(chance, once + 0.5, n / (n + ahead))) / ahead)
    return share_up(min(limit, 1.0)), periods.names[came[-1]] if len(came) else ""


def share_up(share: float) -> float:
    """
    Round a share up to two digits.

    Examples
    --------
    >>> share_up(0.02131), share_up(0.0), share_up(0.995)
    (0.022, 0.0, 1.0)
    """
    if share <= 0:
        return 0.0
    places = 1 - math.floor(math.log10(share))
    tens = 10.0**places
    return min(round(math.ceil(share * tens - 1e-9) / tens, places), 1.0)


def outward(low: float | None, high: float | None, *, whole: bool = False, digits: int = 2) -> Limits:
    """
    Round limits outward to few digits of their distance.

    Examples
    --------
    >>> outward(0.12345, 987.6), outward(-3.217, 3.188), outward(1013.2, 1013.9), outward(0.0, 51.2, whole=True)
    ((0.0, 990.0), (-3.3, 3.2), (1013.19, 1013.91), (0, 52))
    """
    ends = [abs(end) for end in (low, high) if end is not None]
    if not ends:
        return None, None
    width = high - low if low is not None and high is not None and high > low else max(ends)
    places = digits - 1 - math.floor(math.log10(width)) if width > 0 else 0
    if whole:
        places = min(places, 0)
    made: list[float | None] = []
    for end, turn in ((low, math.floor), (high, math.ceil)):
        if end is None:
            made.append(None)
            continue
        exact = end * 10.0**places
        near = round(exact)
        steps = near if abs(exact - near) < 1e-9 * max(1.0, abs(exact)) else turn(exact)
        rounded = round(steps / 10.0**places, max(places, 0))
        made.append(int(rounded) if whole else rounded + 0.0)
    return made[0], made[1]


def reach(greatest: Floats, chance: float) -> float:
    """Return what the greatest value of the next period passes, but for that chance."""
    if (greatest > 0).all():
        low = math.exp(next_greatest(np.log(greatest), chance)[0])
    else:
        low = next_greatest(greatest, chance)[0]
    return min(low, float(greatest.min()))
