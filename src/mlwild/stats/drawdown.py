"""Falls from a peak: how deep, how long, and how deep the next one may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bootstrap import block_length, block_positions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drawdown:
    """
    The deepest fall from a peak, and how long one was below a peak.

    Parameters
    ----------
    depth : float
        Share of the peak that was lost, in [0, 1); 0 if wealth never fell.
    peak, trough : int
        Bar at whose end the peak was (-1: the start), and that of the lowest point after it.
    recovered : int or None
        Bar at whose end the peak was reached again; None if it was not.
    longest : int
        Greatest number of bars from a peak until it was reached again, or the end.
    under_water : float
        Share of bars at whose end wealth was below an earlier peak.

    Examples
    --------
    >>> found = drawdown(np.array([0.1, -0.2, -0.1, 0.5, 0.0]))
    >>> round(found.depth, 6), found.peak, found.trough, found.recovered, found.longest, found.under_water
    (0.28, 0, 2, 3, 3, 0.4)
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None
    longest: int
    under_water: float


def checked_returns(returns: Floats) -> Floats:
    """
    Return simple returns as an array.

    Raises
    ------
    DataError
        If there is none, or one is not finite, or loses everything and more.
    """
    made = np.asarray(returns, dtype=np.float64)
    if made.ndim != 1 or not len(made):
        raise DataError(f"returns: have shape {made.shape}; need one number a bar.")
    bad = np.flatnonzero(~np.isfinite(made) | (made <= -1))
    if len(bad):
        raise DataError(f"returns: that of bar {bad[0]} is {made[bad[0]]}; simple returns are finite and above -1.")
    return made


def drawdown(returns: Floats) -> Drawdown:
    """
    Return the deepest fall of wealth from a peak.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,)
        Simple returns, which compound.

    Raises
    ------
    DataError
        If a return is not finite, or -1 or less.

    References
    ----------
    .. [1] Magdon-Ismail, M., & Atiya, A. F. (2004). Maximum drawdown. Risk Magazine, 17(10), 99-102.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log1p(checked_returns(returns)))])
    tops = np.maximum.accumulate(logs)
    fall = tops - logs
    trough = int(np.argmax(fall))
    peak = int(np.argmax(logs[: trough + 1]))
    back = np.flatnonzero(logs[trough:] >= logs[peak] - 1e-12)
    recovered = int(trough + back[0]) if len(back) else None
    below = fall > 1e-12
    # A stretch below a peak begins at the peak and ends where it is reached again.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], below, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    lengths = np.minimum(stops, len(logs) - 1) - (starts - 1)
    longest = int(lengths.max(initial=0))
    depth = float(-math.expm1(-fall[trough]))
    if not below.any():
        return Drawdown(0.0, -1, -1, -1, 0, 0.0)
    return Drawdown(
        depth, peak - 1, trough - 1, None if recovered is None else recovered - 1, longest, float(below[1:].mean())
    )


@dataclass(frozen=True)
class NextDrawdown:
    """
    How deep the next drawdown may be.

    Parameters
    ----------
    bound : float
        Depth that is not passed within the horizon, at the level.
    median : float
        Depth that is passed every second time.
    horizon : int
        Bars.
    level : float
    length : float
        Mean block length, in bars.
    """

    bound: float
    median: float
    horizon: int
    level: float
    length: float


def next_drawdown(
    returns: Floats, *, horizon: int, level: float = 0.95, reps: int = 2000, seed: int = 0, length: float | None = None
) -> NextDrawdown:
    """
    Return how deep the deepest fall within the next bars may be, by resampling blocks of the past.

    The past must be like the future: a path cannot hold a day that was not, nor a crisis longer than its blocks.
    So the block is not shorter than the one that the autocorrelation of the returns, or of their squares, asks for.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,)
        Simple returns.
    horizon : int
        Bars ahead, at least 1.
    level : float
        In (0, 1).
    reps, seed : int
    length : float, optional
        Mean block length; default chosen from the returns.

    Raises
    ------
    DataError
        If a return is not finite, or there are fewer than 20 bars.

    References
    ----------
    .. [1] Politis, D. N., & White, H. (2004). Automatic block-length selection for the dependent bootstrap.
       Econometric Reviews, 23(1), 53-70.

    Examples
    --------
    >>> returns = 0.01 * np.random.default_rng(0).normal(size=1000)
    >>> found = next_drawdown(returns, horizon=250)
    >>> found.median < found.bound < 0.5
    True
    """
    series = checked_returns(returns)
    if len(series) < 20:
        raise DataError(f"returns: {len(series)} bars are too few to say what may come; need 20 at least.")
    if length is None:
        length = max(block_length(series), block_length(np.abs(series - series.mean())))
    rng = np.random.default_rng(seed)
    size = max(len(series), horizon)
    ahead = block_positions(size, length, reps, rng)[:, :horizon] % len(series)
    # Each path is drawn from a history that is itself a draw: what the past was is known to so much only.
    places = np.take_along_axis(block_positions(len(series), length, reps, rng), ahead, axis=1)
    logs = np.cumsum(np.log1p(series)[places], axis=1)
    tops = np.maximum(np.maximum.accumulate(logs, axis=1), 0.0)
    depths = -np.expm1(-(tops - logs).max(axis=1))
    bound, median = np.quantile(depths, [level, 0.5])
    return NextDrawdown(float(bound), float(median), horizon, level, float(length))
