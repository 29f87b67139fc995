"""How far past what was seen the honest next period may go: limits with slack, in few digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.contracts.periods import Periods
from mlwild.stats.prediction import FEWEST, next_greatest, next_share, prediction_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Limits = tuple[float | None, float | None]

#: No limit lies more times as far from a median as the farthest value did: heavier tails are seldom meant.
MOST_SLACK = 5.0
#: A greatest whole number that so many rows reached is an end of the scale, such as five stars.
OFTEN = 30
#: So many greatest values of periods, each above those before, are no chance.
LEVELS = 8


def tame(values: NDArray[Any]) -> bool:
    """Say whether numbers are such that sums and steps of them are exact enough."""
    least, greatest = float(values.min()), float(values.max())
    most = max(abs(least), abs(greatest))
    return most < (2.0**53 if values.dtype.kind in "iu" else 1e100) and greatest - least > max(1e-100, 1e-12 * most)


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


def range_limits(parts: list[NDArray[Any]], chance: float, *, whole: bool) -> tuple[float, float]:
    """
    Return limits that the next period's values pass, each with a chance of at most about `chance`.

    How far the greatest value of a period lies above its median follows Gumbel's law on the scale of logarithms, or
    a lighter one; that much is added to where medians go. The same below. Zero that was never passed is an end.

    Parameters
    ----------
    parts : list of ndarray
        The finite values of each period.
    whole : bool
        Whether they are whole numbers.
    """
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    medians = np.array([float(np.median(part)) for part in parts])
    above = np.array([float(part.max()) for part in parts]) - medians
    below = medians - np.array([float(part.min()) for part in parts])
    down, up = level_limits(medians, chance, one_sign=low >= 0 or high <= 0)
    top = _end(parts, up + _reach(above, chance), chance, whole=whole)
    bottom = -_end([-part for part in parts], _reach(below, chance) - down, chance, whole=whole)
    return bottom, top


def climbs(greatest: NDArray[Any]) -> bool:
    """
    Say whether the greatest values of periods go up for ever, as those of ids do.

    That is: they never fall and took eight values or more, or two thirds of them, and seven, are greater than all
    before. Of eight periods without a trend that is so in one of 40,320 histories, and of more in fewer.

    Parameters
    ----------
    greatest : ndarray of shape (n_periods,)

    Examples
    --------
    >>> climbs(np.array([90, 195, 210, 330, 420, 600, 580, 700, 810])), climbs(np.array([4, 4, 5, 4, 4, 5, 5, 5, 6]))
    (True, False)
    """
    steps, later = np.diff(greatest), len(greatest) - 1
    records = int((np.diff(np.maximum.accumulate(greatest)) > 0).sum())
    steady = bool((steps >= 0).all())
    return records >= LEVELS - 1 and (steady or 3 * records >= 2 * later)


def _end(parts: list[NDArray[Any]], limit: float, chance: float, *, whole: bool) -> float:
    """Return the limit above, or the end of the scale where the values show one."""
    greatest = np.array([part.max() for part in parts])
    most, values = float(greatest.max()), np.concatenate(parts)
    reached, near = int((values == most).sum()), int((values >= most - 1).sum())
    often = reached >= OFTEN and (greatest == most).mean() >= 0.5
    if often and (not whole or reached > 0.1 * near):  # five stars; a sensor at its end
        return most
    if whole:
        limit = max(limit, most + next_steps(values, max(map(len, parts)), chance))
    # Where zero was never passed it is the end: a limit beyond it would let every sign that stands for a gap in.
    return 0.0 if most <= 0 < limit else max(limit, most)


def next_steps(values: NDArray[Any], ahead: int, chance: float) -> int:
    """
    Return how many steps above the greatest whole number the next ones may go.

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
    >>> next_steps(np.repeat([0, 1], [784, 16]), 100, 0.0006)
    3
    """
    top = values.max()
    reached, near = int((values >= top).sum()), int((values >= top - 1).sum())
    falls = reached / near if near > reached else 1 / len(values)
    return max(0, math.ceil(math.log(ahead * reached / (len(values) * chance)) / -math.log(falls)))


def _reach(distances: Floats, chance: float) -> float:
    """Return how far from the median of its period the farthest value of the next one lies."""
    farthest, seen = float(distances.max()), distances[distances > 0]
    if len(seen) < FEWEST:
        return MOST_SLACK * farthest
    far = min(next_greatest(np.log(seen), chance), math.log(MOST_SLACK * farthest))
    return max(math.exp(far), farthest)


def level_limits(values: Floats, chance: float, *, one_sign: bool) -> tuple[float, float]:
    """
    Return limits for a median or a count of the next period: normal ones, that do not pass zero where it never was.

    Parameters
    ----------
    values : ndarray of shape (n_periods,)
    chance : float
        For each limit.
    one_sign : bool
        Whether the values that they are made of have one sign.
    """
    low, high = prediction_limits(values, 2 * chance)
    if one_sign and (values > 0).all() and low <= 0:
        low = skewed_limits(values, chance, one_sign=True)[0]
    if one_sign and (values < 0).all() and high >= 0:
        high = skewed_limits(values, chance, one_sign=True)[1]
    return min(low, float(values.min())), max(high, float(values.max()))


def skewed_limits(values: Floats, chance: float, *, one_sign: bool) -> tuple[float, float]:
    """Return limits for a statistic of the next period; on the scale of logarithms where it can have one sign only."""
    if one_sign and (values > 0).all():
        low, high = (math.exp(min(end, 700.0)) for end in prediction_limits(np.log(values), 2 * chance))
    elif one_sign and (values < 0).all():
        high, low = (-math.exp(min(end, 700.0)) for end in prediction_limits(np.log(-values), 2 * chance))
    else:
        low, high = prediction_limits(values, 2 * chance)
    return min(low, float(values.min())), max(high, float(values.max()))


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
    from scipy.stats import nbinom

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
    >>> low, high = outward(5e-324, 5e-324)  # the least of all numbers
    >>> low, 5e-324 <= high < 1e-299
    (0.0, True)
    """
    ends = [abs(end) for end in (low, high) if end is not None]
    if not ends:
        return None, None
    width = high - low if low is not None and high is not None and high > low else max(ends)
    # Beyond 300 a power of ten is no number.
    places = min(digits - 1 - math.floor(math.log10(width)), 300) if width > 0 else 0
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
        rounded = min(rounded, end) if turn is math.floor else max(rounded, end)
        made.append(int(rounded) if whole else rounded + 0.0)
    return made[0], made[1]


def most_reach(greatest: Floats, chance: float) -> float:
    """Return what the greatest value of the next period stays below, but for that chance."""
    if (greatest > 0).all() and greatest.min() < greatest.max():
        return math.exp(min(next_greatest(np.log(greatest), chance), 700.0))
    return next_greatest(greatest, chance)
