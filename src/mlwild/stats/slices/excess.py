"""Bounds for a slice that was chosen on other rows: how much more than the rest it loses, and how much at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.bounds import betting_upper, clopper_pearson_upper

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Draws of the permutation test, at least; and draws beyond its critical value, at least.
DRAWS, BEYOND = 1_999, 10
#: Rows drawn at a time.
BLOCK = 1 << 20
#: Rows from which the normal distribution stands for draws.
MANY = 5_000


@dataclass(frozen=True)
class Excess:
    """
    Mean loss of a slice less that of the rest.

    Parameters
    ----------
    estimate : float
        In the unit of the losses; NaN where a side has no row.
    low : float
        Lower bound; minus infinity where there is none.
    """

    estimate: float
    low: float


def excess(losses: Floats, slices: Sequence[Mask], *, delta: float, rates: bool = False, seed: int = 0) -> list[Excess]:
    """
    Return how much more each slice loses than the rest of the rows, with one-sided lower bounds.

    Error rates: the exact bounds of both rates are joined (MOVER); over sizes and rates the chance
    of a bound above the truth was computed and is below delta throughout. Other losses: the critical
    value of Welch's statistic comes from permutations of the losses, so that where the losses do not
    depend on the slice at all, a bound above zero has chance delta at most, whatever their skewness.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,)
        Independent rows, on which the slices were not chosen.
    slices : sequence of ndarray of bool, shape (n_rows,)
    delta : float
        Chance that one bound lies above the truth.
    rates : bool
        Whether losses are 0 or 1.
    seed : int
        Of the permutations.

    Returns
    -------
    list of Excess

    References
    ----------
    .. [1] Zou, G. Y., & Donner, A. (2008). Construction of confidence limits about effect measures.
       Statistics in Medicine, 27(10), 1693-1702.
    .. [2] Janssen, A. (1997). Studentized permutation tests for non-i.i.d. hypotheses and the generalized
       Behrens-Fisher problem. Statistics & Probability Letters, 36(1), 9-21.

    Examples
    --------
    >>> losses = np.repeat([1.0, 0.0, 1.0, 0.0], [30, 20, 200, 750])
    >>> [found] = excess(losses, [np.arange(1000) < 50], delta=0.05, rates=True)
    >>> round(found.estimate, 3), round(found.low, 3)
    (0.389, 0.261)
    """
    if rates:
        return [_of_rates(losses, inside, delta) for inside in slices]
    # Centred, variances keep their digits; of losses all alike rounding leaves none.
    centred = losses - losses.mean() if np.ptp(losses) else np.zeros(len(losses))
    small = [min(int(inside.sum()), int((~inside).sum())) for inside in slices]
    sizes = sorted({size for size in small if 2 <= size < MANY})
    drawn = _drawn(centred, sizes, _draws(delta), seed)
    return [_of_means(centred, inside, delta, drawn.get(size)) for inside, size in zip(slices, small, strict=True)]


def _of_rates(losses: Floats, inside: Mask, delta: float) -> Excess:
    """Return the excess of an error rate."""
    n, wrong = int(inside.sum()), int(losses[inside].sum())
    m, other = len(losses) - n, int(losses.sum()) - wrong
    if not n or not m:
        return Excess(math.nan, -math.inf)
    rate, rest = wrong / n, other / m
    down = rate - (1.0 - clopper_pearson_upper(n - wrong, n, delta))
    return Excess(rate - rest, rate - rest - math.hypot(down, clopper_pearson_upper(other, m, delta) - rest))


def _of_means(centred: Floats, inside: Mask, delta: float, drawn: tuple[Floats, Floats] | None) -> Excess:
    """Return the excess of a mean; `drawn` are sums and squares of as many rows as the smaller side has."""
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return Excess(math.nan, -math.inf)
    totals = float(centred.sum()), float(centred @ centred)
    some = centred[inside]
    gap, error = (float(one[0]) for one in _welch(np.array([some.sum()]), np.array([some @ some]), (n, m), totals))
    if min(n, m) < 2:
        return Excess(gap, -math.inf)
    if drawn is None:
        from scipy.special import ndtri

        return Excess(gap, gap - float(ndtri(1 - delta)) * error)
    gaps, errors = _welch(*drawn, (min(n, m), max(n, m)), totals)
    statistics = np.sort(_ratio(gaps if n <= m else -gaps, errors))
    width = float(statistics[math.ceil((1 - delta) * (len(statistics) + 1)) - 1]) * error
    return Excess(gap, gap - width if math.isfinite(width) else -math.inf)


def _drawn(centred: Floats, sizes: list[int], draws: int, seed: int) -> dict[int, tuple[Floats, Floats]]:
    """Return sums and sums of squares of rows drawn without replacement, by their number; fewer begin more."""
    if not sizes:
        return {}
    rng, last = np.random.default_rng(seed), np.array(sizes) - 1
    made = np.empty((2, draws, len(sizes)))
    for draw in range(draws):
        some = centred[rng.choice(len(centred), sizes[-1], replace=False)]
        made[0, draw], made[1, draw] = some.cumsum()[last], (some**2).cumsum()[last]
    return {size: (made[0, :, place], made[1, :, place]) for place, size in enumerate(sizes)}


def _welch(sums: Floats, squares: Floats, sizes: tuple[int, int], totals: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return the difference of means of one part and the rest, and its standard error."""
    sides = ((sums, squares, sizes[0]), (totals[0] - sums, totals[1] - squares, sizes[1]))
    means = [total / n for total, _, n in sides]
    spread = [
        np.maximum(square - n * mean**2, 0.0) / max(n - 1, 1) / n
        for (_, square, n), mean in zip(sides, means, strict=True)
    ]
    return means[0] - means[1], np.sqrt(spread[0] + spread[1])


def _ratio(gaps: Floats, errors: Floats) -> Floats:
    """Return gaps in standard errors; infinite where nothing varies and the means differ."""
    still = errors <= 0
    return np.where(still, np.where(gaps == 0, 0.0, np.copysign(np.inf, gaps)), gaps / np.where(still, 1.0, errors))


def loss_high(
    losses: Floats, inside: Mask, *, delta: float, rates: bool = False, bound: float | None = None, seed: int = 0
) -> float:
    """
    Return a one-sided upper bound for the mean loss of a slice.

    Error rates: exact. With a limit that no loss can exceed: by betting, valid at any size. Else Student's
    statistic with the critical value that it has in as many rows drawn from all losses, so that their skewness
    is made up for; it takes the slice's losses to be of the same shape as all, but for place and scale.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,)
        Independent rows, on which the slice was not chosen; 0 or more where a bound is given.
    inside : ndarray of bool, shape (n_rows,)
        Rows of the slice.
    delta : float
        Chance that the bound lies below the truth.
    rates : bool
        Whether losses are 0 or 1.
    bound : float, optional
        What no loss can exceed.
    seed : int
        Of the draws.

    Returns
    -------
    float
        Infinity where there is none: too few rows, or rows alike.

    Examples
    --------
    >>> losses, inside = np.repeat([1.0, 0.0, 1.0, 0.0], [30, 20, 200, 750]), np.arange(1000) < 50
    >>> round(loss_high(losses, inside, delta=0.05, rates=True), 2), round(loss_high(losses, inside, delta=0.05), 2)
    (0.72, 0.73)
    """
    some = losses[inside]
    n = len(some)
    if rates:
        return clopper_pearson_upper(int(some.sum()), n, delta)
    if bound is not None:
        return bound * betting_upper(some / bound, delta)
    error = math.sqrt(float(some.var(ddof=1)) / n) if n > 1 else 0.0
    if error == 0:
        return math.inf
    if n >= MANY:
        from scipy.special import ndtri

        return float(some.mean()) + float(ndtri(1 - delta)) * error
    rng, centred = np.random.default_rng(seed), losses - losses.mean()
    draws, parts = _draws(delta), []
    for start in range(0, draws, many := max(1, BLOCK // n)):
        drawn = centred[rng.integers(0, len(centred), (min(many, draws - start), n))]
        parts.append(_ratio(drawn.mean(axis=1), drawn.std(axis=1, ddof=1) / math.sqrt(n)))
    critical = float(np.sort(np.concatenate(parts))[math.floor(delta * (draws + 1)) - 1])
    return float(some.mean()) - critical * error


def _draws(delta: float) -> int:
    """Return how many draws a critical value takes."""
    return max(DRAWS, math.ceil(BEYOND / delta) - 1)
