"""How far an estimate without labels is off over blocks of labelled rows, beyond sampling, and what that does to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Curves = TypeVar("Curves")

#: Blocks that a reference is cut into, at least, and that are judged, at most.
FEWEST, MOST = 4, 100
#: Values of the confidence distribution of the variance.
_VALUES = 128


@dataclass(frozen=True, eq=False)
class Dispersion:
    """
    Between-block variance of an estimate's error, beyond what sampling explains.

    Parameters
    ----------
    blocks : int
        Blocks of labelled rows that were judged.
    excess : float
        Mean squared error of the blocks over their sampling variance; 1 where nothing drifts.
    variances : ndarray of shape (n_values,)
        Between-block variances that are equally likely in the light of the blocks, ascending, in the
        square of the metric's unit; zero where sampling alone explains as much.
    """

    blocks: int
    excess: float
    variances: Floats


def dispersion(gaps: Floats, noise: Floats) -> Dispersion:
    """
    Return the confidence distribution of the variance between blocks, from their errors.

    A random-effects model: each block's error is a draw of mean zero with its sampling variance and
    one more variance, the same for all blocks. Cochran's Q at the true variance is chi-square, which gives the
    distribution; what would lie below zero counts as zero.

    Parameters
    ----------
    gaps : ndarray of shape (n_blocks,)
        Realised less estimated value of each block; NaN where it has none.
    noise : ndarray of shape (n_blocks,)
        Sampling variance of each gap.

    Returns
    -------
    Dispersion

    References
    ----------
    .. [1] DerSimonian, R., & Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical
       Trials, 7(3), 177-188.
    .. [2] Viechtbauer, W. (2007). Confidence intervals for the amount of heterogeneity in
       meta-analysis. Statistics in Medicine, 26(1), 37-52.

    Examples
    --------
    >>> calm = dispersion(np.array([0.9, -1.1, 0.2, -0.4]), np.ones(4))
    >>> wild = dispersion(np.array([9.0, -11.0, 2.0, -4.0]), np.ones(4))
    >>> [(round(one.excess, 1), round(np.median(one.variances))) for one in (calm, wild)]
    [(0.6, 0), (55.5, 65)]
    """
    from scipy.special import chdtri

    kept = np.isfinite(gaps) & np.isfinite(noise)
    squares, noise = gaps[kept] ** 2, noise[kept]
    blocks = len(squares)
    if not squares.any():  # no error at all, or no block
        return Dispersion(blocks, 0.0, np.zeros(_VALUES))
    # A block without sampling noise (labels of one class) may not count for everything.
    noise = np.maximum(noise, 1e-6 * float((squares + noise).mean()))
    excess = float((squares / noise).mean())
    wanted = chdtri(blocks, (np.arange(_VALUES) + 0.5) / _VALUES)[::-1]  # of Q, descending to the greatest variance
    return Dispersion(blocks, excess, np.sort(_solved(squares, noise, wanted)))


def _solved(squares: Floats, noise: Floats, wanted: Floats) -> Floats:
    """Return the variance at which Q is as wanted, or zero; Newton from the left of a convex falling curve."""
    variance = np.zeros(len(wanted))
    for _ in range(200):
        total = noise[:, None] + variance  # (blocks, values)
        over = (squares[:, None] / total).sum(axis=0) - wanted
        step = np.maximum(over, 0.0) / (squares[:, None] / total**2).sum(axis=0)
        variance += step
        if (step <= 1e-9 * variance).all():
            break
    return variance


def widening(spread: float, found: Dispersion | None, level: float) -> float:
    """
    Return how many times as wide an interval becomes by what an estimate was off beyond sampling.

    The error of a new window is normal with its own variance and one of the equally likely variances
    between blocks; the interval holds it with the level's probability. So it holds at least that for any true
    variance, as long as the window departs from the reference as the blocks do from one another, each by itself. With
    few blocks that costs width even where nothing drifts: 1.4 times with a reference of 4 windows, 1.17 with 13,
    1.04 with 100.

    Parameters
    ----------
    spread : float
        Standard error of the estimate without dispersion.
    found : Dispersion or None
        None leaves the interval as it is.
    level : float

    Returns
    -------
    float
        At least 1.

    References
    ----------
    .. [1] Nagashima, K., Noma, H., & Furukawa, T. A. (2019). Prediction intervals for random-effects
       meta-analysis: a confidence distribution approach. Statistical Methods in Medical Research,
       28(6), 1689-1702.

    Examples
    --------
    >>> round(widening(1.0, Dispersion(100, 2.0, np.array([1.0, 1.0])), 0.95), 3)  # variance 1 + 1
    1.414
    """
    from scipy.special import ndtr, ndtri

    if found is None or not spread > 0 or not found.variances.any():
        return 1.0
    precision = 1 / np.sqrt(spread**2 + found.variances)
    tail = (1 - level) / 2
    start = square = (float(ndtri(tail)) * spread) ** 2
    # The logarithm of a mixture of normal tails is convex in the squared half width: Newton from the left.
    for _ in range(100):
        at = square**0.5 * precision
        tails = float(ndtr(-at).sum())
        density = float(np.exp(-0.5 * at * at) @ precision) / math.sqrt(2 * math.pi)
        step = math.log(tails / (tail * len(at))) * tails / density * 2 * square**0.5
        square += step
        if step <= 1e-7 * square:
            break
    return math.sqrt(square / start)


def block_gaps(
    n_rows: int,
    window_rows: int,
    *,
    fit: Callable[[slice], Curves],
    judge: Callable[[Curves, slice], list[tuple[float, float]]],
) -> tuple[Floats, Floats]:
    """
    Return the errors of estimates over contiguous blocks of labelled rows, cross-fitted by halves.

    Each block is about as long as a window and is judged by what the other half of the rows gives, so
    that slow drift shows as well as quick. At least 4 blocks are made, shorter ones where need be; of more than 100,
    as many are judged, evenly spaced.

    Parameters
    ----------
    n_rows : int
        Labelled rows, in order of time.
    window_rows : int
        Rows of the windows that are to be estimated.
    fit : callable
        From the rows of a half to what estimates.
    judge : callable
        From that and the rows of a block to pairs, one a metric: the gap, realised less estimated, and its sampling
        variance.

    Returns
    -------
    gaps, noise : ndarray of shape (n_blocks, n_metrics)

    Examples
    --------
    >>> values = np.tile([0.0, 1.0], 500)
    >>> gaps, noise = block_gaps(1000, 100, fit=lambda rows: values[rows].mean(),
    ...                          judge=lambda mean, rows: [(values[rows].mean() - mean, 0.25 / 100)])
    >>> gaps.shape, float(np.abs(gaps).max())
    ((10, 1), 0.0)
    """
    edges = block_edges(n_rows, window_rows)
    blocks = len(edges) - 1
    middle = int(edges[blocks // 2])
    by = fit(slice(middle, n_rows)), fit(slice(0, middle))  # the first half is judged by the second
    judged = np.unique(np.linspace(0, blocks - 1, min(blocks, MOST)).round().astype(np.int64))
    found = [judge(by[int(k >= blocks // 2)], slice(int(edges[k]), int(edges[k + 1]))) for k in judged]
    table = np.array(found, dtype=np.float64)  # (blocks, metrics, 2)
    return table[..., 0], table[..., 1]


def block_edges(n_rows: int, window_rows: int) -> NDArray[np.int64]:
    """
    Return the edges of contiguous blocks: as many as there are windows in the rows, 4 at least.

    Examples
    --------
    >>> block_edges(1000, 300).tolist()
    [0, 250, 500, 750, 1000]
    """
    blocks = min(max(round(n_rows / max(window_rows, 1)), FEWEST), n_rows)
    return np.linspace(0, n_rows, blocks + 1).astype(np.int64)
