"""The worst stretch of a history, and a bound for the worst of the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.worst.futures import future_paths

Floats = NDArray[np.float64]

#: Fewest blocks that a next one is bounded from.
FEWEST = 12


@dataclass(frozen=True)
class NextWorst:
    """
    The worst window so far, and a bound for the worst of the next horizon.

    Parameters
    ----------
    seen : float
        Highest mean loss of so many blocks in a row, in the unit of the losses.
    start : int
        Position of the first block of that window.
    high : float
        Bound that the highest window mean of the next horizon stays under.
    expected : float
        Median of the same.
    level : float
        Chance that it does.
    window, horizon : int
        In blocks.
    n : int
        Number of blocks seen.
    length : float
        Mean length of the blocks of blocks that were resampled.
    persistence : float
        First autocorrelation that the paths carry on.
    """

    seen: float
    start: int
    high: float
    expected: float
    level: float
    window: int
    horizon: int
    n: int
    length: float
    persistence: float


def next_worst(
    block_losses: Floats,
    *,
    window: int = 1,
    horizon: int,
    ahead: int = 0,
    level: float = 0.95,
    greatest: float | None = None,
    reps: int = 2000,
    seed: int = 0,
) -> NextWorst:
    """
    Bound the worst rolling window of the next blocks by resampled paths that go on from the last one.

    Paths are drawn by the stationary bootstrap with a tail beyond the worst block seen, and with the
    sampling error of the level and of the persistence (see `future_paths`). Windows lie wholly in the
    horizon.

    Share of histories whose next horizon exceeded the bound at level 0.95 (1,000 draws each), of 20, 50
    and 150 blocks; horizon 10 with windows of 1, then horizon 13 with windows of 4; in brackets a plain
    bootstrap of 20 blocks: normal losses .013, .022, .039 (.31), then .001, .017, .031 (.13); AR(0.5)
    .013, .021, .039 (.32), then .020, .029, .035 (.31); a season of 13 blocks .004, .015, .019 (.35),
    then .000, .002, .009 (.29); lognormal .044, .042, .053 (.31), then .017, .035, .036 (.17);
    exponential .048, .061, .053 (.36), then .018, .041, .051 (.15). So calm laws get a wide bound, and
    one with a heavier tail than the exponential would exceed it more often.

    It knows no trend: where losses rise by a standard deviation every 30 blocks it was exceeded in .11
    of histories of 50 blocks. After a break it is of no use.

    Parameters
    ----------
    block_losses : ndarray of shape (n_blocks,)
        Mean loss of each block, in order of time, at least 12.
    window : int
        Number of blocks in a row whose mean counts, default 1.
    horizon : int
        Number of blocks to come, at least the window.
    ahead : int
        Blocks that lie between the last one given and the first to come, such as those whose labels are
        not there yet.
    level : float
        Chance that the bound is not exceeded, in (0, 1); default 0.95.
    greatest : float, optional
        The greatest loss there can be; bounds never pass it.
    reps : int
        Number of paths.
    seed : int

    Returns
    -------
    NextWorst

    Raises
    ------
    DataError
        If there are under 12 blocks or fewer than a window, a loss is not finite, or window, horizon or
        level is out of range.

    References
    ----------
    .. [1] Politis, D. N., & Romano, J. P. (1994). The stationary bootstrap. JASA, 89(428), 1303-1313.
    .. [2] Politis, D. N., & White, H. (2004). Automatic block-length selection for the dependent
       bootstrap. Econometric Reviews, 23(1), 53-70.

    Examples
    --------
    >>> losses = 0.1 + 0.02 * np.random.default_rng(0).normal(size=40)
    >>> found = next_worst(losses, horizon=10)
    >>> round(found.seen, 3), found.start, found.seen < found.high < 0.2
    (0.13, 39, True)
    """
    losses = _checked(block_losses, window, horizon, level)
    if ahead < 0:
        raise DataError(f"ahead is {ahead}, need a number of blocks from 0 on.")
    means = rolling_means(losses, window)
    start = int(np.argmax(means))
    futures = future_paths(losses, ahead + horizon, shortest=window, reps=reps, seed=seed)
    worst = rolling_means(futures.paths[:, ahead:], window).max(axis=1)
    if greatest is not None:
        worst = np.minimum(worst, greatest)
    high, expected = (float(q) for q in np.quantile(worst, [level, 0.5]))
    return NextWorst(
        float(means[start]),
        start,
        high,
        expected,
        level,
        window,
        horizon,
        len(losses),
        futures.length,
        futures.persistence,
    )


def rolling_means(values: Floats, window: int) -> Floats:
    """
    Return the means of all windows of so many neighbours, along the last axis.

    Examples
    --------
    >>> rolling_means(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [2.0, 4.0]
    """
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, window, axis=-1).mean(axis=-1))


def _checked(losses: Floats, window: int, horizon: int, level: float) -> Floats:
    """Return finite losses, enough for the window."""
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 1 or len(losses) < max(FEWEST, window):
        raise DataError(
            f"block losses have shape {losses.shape}, need a series of at least {max(FEWEST, window)}. "
            "Hint: wait for more blocks, or make them shorter."
        )
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise DataError(f"block {bad[0]} has loss {losses[bad[0]]}; leave out blocks that lack one.")
    if not 1 <= window <= horizon:
        raise DataError(f"window is {window} and horizon {horizon}, need 1 <= window <= horizon.")
    if not 0 < level < 1:
        raise DataError(f"level is {level}, need a chance in (0, 1), such as 0.95.")
    return losses
