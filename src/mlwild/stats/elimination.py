"""Means in standard errors, the order in which a confidence set drops models, and the p-value of each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.block_means import BlockMeans
from mlwild.stats.pooled import LagSums, lag_sums, mean_errors, normal_scores, of_pairs, over_mean

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """
    Means of resampled rows, and what corrects scores for few and dependent ones.

    Parameters
    ----------
    boot : BlockMeans
    tiny : float
        What counts as nothing.
    rows : int
        Number of rows.
    corrected : bool
        Without, scores are those of the papers.
    memory : LagSums or None
        Of the same series; None where blocks of one row say that rows are independent.
    """

    boot: BlockMeans
    tiny: float
    rows: int
    corrected: bool
    memory: LagSums | None


def draws_of(series: Floats, boot: BlockMeans, tiny: float, *, corrected: bool) -> Draws:
    """Return the draws of series with what their scores need."""
    memory = lag_sums(series) if corrected and boot.length > 1 else None
    return Draws(boot, tiny, len(series), corrected, memory)


def standard_scores(
    draws: Draws,
    values: Floats,
    seen: Floats,
    *,
    of: Callable[[Floats], Floats],
    among: Sequence[int] | None = None,
) -> Floats:
    """
    Return means in standard errors.

    Parameters
    ----------
    draws : Draws
    values : ndarray
        Means, or differences of means.
    seen : ndarray
        Root mean square of their bootstrap deviations.
    of : callable
        How the series make these means: see `mlwild.stats.pooled`.
    among : sequence of int, optional
        The series that take part.
    """
    plain = ratio(values, seen, draws.tiny)
    if not draws.corrected:
        return plain
    if draws.memory is None:
        return normal_scores(plain, draws.rows - 1.0)
    sums = draws.memory if among is None else draws.memory.among(among)
    errors, freedom = mean_errors(sums, of, seen, length=draws.boot.length, kind=draws.boot.kind)
    return normal_scores(ratio(values, np.where(seen <= draws.tiny, seen, errors), draws.tiny), freedom)


def ratio(values: Floats, scale: Floats, tiny: float) -> Floats:
    """
    Return values over their scale; where the scale is nothing, 0 or an infinity.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0, -1.0]), np.array([2.0, 0.0, 0.0]), 1e-12)
    array([ 0.5,  0. , -inf])
    """
    fixed = scale <= tiny
    out = values / np.where(fixed, 1.0, scale)
    if fixed.any():
        sure = np.where(np.abs(values) <= tiny, 0.0, np.copysign(np.inf, values))
        out = np.where(fixed, sure, out)
    return out


def share(simulated: Floats, statistic: float) -> float:
    """
    Return the bootstrap p-value, counting the observed value among the draws.

    Examples
    --------
    >>> share(np.array([0.1, 0.5, 2.0]), 1.0)
    0.5
    """
    return float((1 + np.count_nonzero(simulated >= statistic)) / (1 + len(simulated)))


def by_range(given: Draws) -> tuple[list[int], Floats]:
    """Return the order of dropping and each step's p-value, by the largest difference of two models."""
    means, draws, m = given.boot.means, given.boot.deviations, len(given.boot.means)
    tiny = given.tiny
    spread = np.sqrt(
        np.stack([np.einsum("ij,ij->i", d, d) for d in (draws - draws[i] for i in range(m))]) / draws.shape[1]
    )
    scores = standard_scores(given, means[:, None] - means[None, :], spread, of=of_pairs)
    left, order, statistics = list(range(m)), [], []
    while len(left) > 1:
        worst = scores[np.ix_(left, left)].max(axis=1)
        k = int(np.argmax(worst))
        order.append(left.pop(k))
        statistics.append(float(worst[k]))
    order += left
    # Backwards every set adds one model to the one before, and its maximum only that model's pairs.
    top, steps = np.zeros(draws.shape[1]), np.ones(m - 1)
    weight = np.where(spread <= tiny, 0.0, 1.0 / np.where(spread <= tiny, 1.0, spread))
    for k in range(m - 2, -1, -1):
        i, others = order[k], order[k + 1 :]
        pairs = np.abs(draws[others] - draws[i]) * weight[i, others][:, None]
        top = np.maximum(top, pairs.max(axis=0))
        steps[k] = share(top, statistics[k])
    return order, steps


def by_maximum(given: Draws) -> tuple[list[int], Floats]:
    """Return the order of dropping and each step's p-value, by the largest excess over the mean."""
    means, draws = given.boot.means, given.boot.deviations
    left, order, steps = list(range(len(means))), [], []
    while len(left) > 1:
        kept = draws[left] - draws[left].mean(axis=0)
        scale = np.sqrt(np.einsum("ij,ij->i", kept, kept) / kept.shape[1])
        scores = standard_scores(given, means[left] - means[left].mean(), scale, of=over_mean, among=left)
        worst = int(np.argmax(scores))
        simulated = kept / np.where(scale <= given.tiny, np.inf, scale)[:, None]
        steps.append(share(simulated.max(axis=0), float(scores[worst])))
        order.append(left.pop(worst))
    return order + left, np.array(steps)
