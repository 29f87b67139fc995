"""Bootstrap means of many series at once, in blocks of neighbouring rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bootstrap import block_length
from mlwild.stats.memory import Kind

Floats = NDArray[np.float64]

#: Fewest blocks that a test is made on.
FEWEST_BLOCKS = 8


class FewBlocksError(DataError):
    """
    Rows make too few blocks that do not resemble each other.

    Parameters
    ----------
    said : str
    blocks : float
        How many they make.
    """

    def __init__(self, said: str, blocks: float) -> None:
        super().__init__(said)
        self.blocks = blocks


@dataclass(frozen=True)
class BlockMeans:
    """
    Means of series and how they scatter.

    Parameters
    ----------
    means : ndarray of shape (n_series,)
    deviations : ndarray of shape (n_series, reps)
        Means of resampled rows less the means.
    length : float
        Mean block length used, at least 1.
    kind : {"stationary", "circular"}
        Blocks of random or of fixed length.
    """

    means: Floats
    deviations: Floats
    length: float
    kind: Kind


def bootstrap_means(series: Floats, length: float | None, kind: Kind, reps: int, seed: int) -> BlockMeans:
    """
    Return the means of series, and how the means of resampled rows deviate from them.

    Every replicate takes the same rows of all series. Only sums of blocks are made, from cumulative
    sums: the work grows with the number of blocks, not of rows.

    Parameters
    ----------
    series : ndarray of shape (n_rows, n_series)
        Finite, in order of time.
    length : float or None
        Mean block length in rows; None: the mean of what Politis and White's rule gives for each
        series.
    kind : {"stationary", "circular"}
        Blocks of random or of fixed length.
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    BlockMeans

    Raises
    ------
    DataError
        If the rows make under 8 blocks.

    References
    ----------
    .. [1] Politis, D. N., & Romano, J. P. (1994). The stationary bootstrap. JASA, 89(428), 1303-1313.
    .. [2] Politis, D. N., & Romano, J. P. (1992). A circular block-resampling procedure for
       stationary data. In Exploring the Limits of Bootstrap, 263-270.

    Examples
    --------
    >>> series = np.random.default_rng(0).normal(size=(400, 1))
    >>> found = bootstrap_means(series, 1, "circular", 4000, 0)
    >>> round(float(found.deviations.std()), 2), round(float(series.std() / 20), 2)
    (0.05, 0.05)
    """
    from scipy.sparse import csr_array

    n = len(series)
    if n < FEWEST_BLOCKS:
        raise FewBlocksError(f"{n} rows, need {FEWEST_BLOCKS} blocks. Hint: compare over a longer time.", n)
    shorter = "" if length is None else ", or state a shorter block"
    if length is None:
        length = float(np.mean([block_length(column) for column in series.T]))
    length = max(float(length), 1.0)
    if n / length < FEWEST_BLOCKS:
        raise FewBlocksError(
            f"{n} rows make {n / length:.1f} blocks of {length:.4g} rows, need {FEWEST_BLOCKS}. "
            f"Hint: compare over a longer time{shorter}.",
            n / length,
        )
    means = series.mean(axis=0)
    # A block from s to e sums to before[e] - before[s], also round the end, as all rows sum to 0.
    centred = series - means
    before = np.zeros_like(series)
    np.cumsum(centred[:-1], axis=0, out=before[1:])
    starts, ends = _blocks(n, length, kind, reps, np.random.default_rng(seed))
    count = starts.shape[1]
    signs = np.tile(np.repeat([1.0 / n, -1.0 / n], count), reps)
    where = np.concatenate([ends, starts], axis=1).ravel()
    marks = csr_array((signs, where, np.arange(reps + 1) * 2 * count), shape=(reps, n))
    return BlockMeans(means, np.ascontiguousarray((marks @ before).T), length, kind)


def _blocks(
    n: int, length: float, kind: Kind, reps: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where blocks start and end on the circle of rows, both of shape (reps, blocks)."""
    if kind == "circular":
        size = max(1, round(length))
        reach = np.minimum(np.arange(1, math.ceil(n / size) + 1) * size, n)[None, :].repeat(reps, axis=0)
    else:
        count = int(n / length + 4 * math.sqrt(n / length) + 8)
        reach = np.cumsum(rng.geometric(1 / length, size=(reps, count)), axis=1)
        while reach[:, -1].min() < n:
            more = np.cumsum(rng.geometric(1 / length, size=(reps, count)), axis=1)
            reach = np.concatenate([reach, reach[:, -1:] + more], axis=1)
        reach = np.minimum(reach, n)
    starts = rng.integers(0, n, size=reach.shape)
    ends = (starts + np.diff(reach, axis=1, prepend=0)) % n
    return starts, ends
