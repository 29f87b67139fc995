"""How far two tables of counts, or of numbers, lie apart, and whether chance would do it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Stability:
    """
    A population stability index and what chance makes of it.

    Parameters
    ----------
    value : float
        At least 0, in nats.
    null : float
        Its mean where nothing shifted: (cells - 1)(1/n + 1/m).
    p : float
        Chance of as large a value where nothing shifted (large samples).
    """

    value: float
    null: float
    p: float


def _checked_counts(reference: Counts, window: Counts) -> tuple[Floats, Floats]:
    """Return counts of the cells that either side has."""
    old, new = np.asarray(reference, dtype=np.float64), np.asarray(window, dtype=np.float64)
    if old.shape != new.shape or old.ndim != 1 or not old.sum() or not new.sum() or min(old.min(), new.min()) < 0:
        raise DataError(
            f"counts of shape {old.shape} and {new.shape} must be of the same cells, at least 0, some above. "
            "Hint: count both sides in the same bins, and compare sides that have rows."
        )
    used = (old > 0) | (new > 0)
    return old[used], new[used]


def psi(reference: Counts, window: Counts) -> Stability:
    """
    Return the population stability index of two tables of counts.

    Judge it by `p` or by history, never by 0.1 and 0.2: its size by chance falls with the rows.

    Parameters
    ----------
    reference, window : ndarray of shape (n_cells,)
        Rows in each bin or category, the same ones on both sides. Where a cell is empty on one side,
        half a row is added to every cell.

    Returns
    -------
    Stability

    Raises
    ------
    DataError
        If shapes differ, a count is negative, or a side has no rows.

    References
    ----------
    .. [1] Yurdakul, B., & Naranjo, J. (2020). Statistical properties of the population stability
       index. Journal of Risk Model Validation, 14(4).

    Examples
    --------
    >>> result = psi(np.array([500, 500]), np.array([400, 600]))
    >>> round(result.value, 4), round(result.null, 4)  # 0.1 ln(0.5 / 0.4) + 0.1 ln(0.6 / 0.5)
    (0.0405, 0.002)
    """
    from scipy.special import chdtrc

    old, new = _checked_counts(reference, window)
    noise = 1 / old.sum() + 1 / new.sum()
    if min(old.min(), new.min()) == 0:
        old, new = old + 0.5, new + 0.5
    p, q = old / old.sum(), new / new.sum()
    value = float(((q - p) * np.log(q / p)).sum())
    freedom = len(p) - 1
    return Stability(value, freedom * float(noise), float(chdtrc(freedom, value / noise)) if freedom else 1.0)


def jensen_shannon(reference: Counts, window: Counts) -> float:
    """
    Return the Jensen-Shannon distance of two tables of counts, base 2.

    Parameters
    ----------
    reference, window : ndarray of shape (n_cells,)

    Returns
    -------
    float
        In [0, 1]: the square root of the divergence in bits.

    Raises
    ------
    DataError
        As `psi`.

    References
    ----------
    .. [1] Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
       Information Theory, 37(1), 145-151.

    Examples
    --------
    >>> jensen_shannon(np.array([5, 0]), np.array([0, 7]))
    1.0
    """
    old, new = _checked_counts(reference, window)
    p, q = old / old.sum(), new / new.sum()
    middle = (p + q) / 2
    bits = [float((s[s > 0] * np.log2(s[s > 0] / middle[s > 0])).sum()) for s in (p, q)]
    return math.sqrt(max(sum(bits) / 2, 0.0))


@dataclass(frozen=True)
class Association:
    """
    A chi-square test that two samples share their categories' shares.

    Parameters
    ----------
    statistic : float
    p : float
    cramers_v : float
        Size of the difference, in [0, 1], whatever the number of rows.
    """

    statistic: float
    p: float
    cramers_v: float


def chi_square(reference: Counts, window: Counts) -> Association:
    """
    Return Pearson's chi-square test of two tables of counts, and Cramer's V.

    Parameters
    ----------
    reference, window : ndarray of shape (n_cells,)
        Rows in each category. With under 5 expected in many cells the p-value is rough.

    Returns
    -------
    Association

    Raises
    ------
    DataError
        As `psi`.

    References
    ----------
    .. [1] Cramer, H. (1946). Mathematical methods of statistics. Princeton, section 21.9.

    Examples
    --------
    >>> result = chi_square(np.array([50, 50]), np.array([30, 70]))
    >>> round(result.statistic, 4), round(result.cramers_v, 4)
    (8.3333, 0.2041)
    """
    from scipy.special import chdtrc

    old, new = _checked_counts(reference, window)
    n, m = float(old.sum()), float(new.sum())
    expected = (old + new) * (n / (n + m))
    gap = (old - expected) ** 2
    statistic = float((gap / expected).sum() + (gap / (old + new - expected)).sum())
    p = float(chdtrc(len(old) - 1, statistic)) if len(old) > 1 else 1.0
    return Association(statistic, p, math.sqrt(statistic / (n + m)))


def benjamini_hochberg(p: Floats) -> Floats:
    """
    Return p-values adjusted so that those below a level have at most that false discovery rate.

    Holds for independent tests and for tests that move together.

    Parameters
    ----------
    p : ndarray of shape (n_tests,)
        In [0, 1]; NaN stays NaN and does not count.

    Returns
    -------
    ndarray of shape (n_tests,)

    References
    ----------
    .. [1] Benjamini, Y., & Hochberg, Y. (1995). Controlling the false discovery rate. JRSS-B, 57(1),
       289-300.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])[::-1]]
    ranks = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * len(order) / ranks), 1.0)
    return adjusted


@dataclass(frozen=True)
class Discrepancy:
    """
    A maximum mean discrepancy with its test.

    Parameters
    ----------
    value : float
        Unbiased estimate of the squared discrepancy; around 0, also below, where nothing shifted.
    p : float
        One-sided.
    bandwidth : float
        Of the Gaussian kernel, in the unit of the columns.
    blocks : int
    """

    value: float
    p: float
    bandwidth: float
    blocks: int


def mmd(
    reference: Floats, window: Floats, *, block: int = 32, bandwidth: float | None = None, seed: int = 0
) -> Discrepancy:
    """
    Return the block estimate of the maximum mean discrepancy of two tables, with a Gaussian kernel.

    Rows are drawn into blocks at random; the mean over blocks is near normal, so that no permutation
    is needed. Cost grows with rows x block. Scale the columns first: distances are taken across them.

    Parameters
    ----------
    reference, window : ndarray of shape (n, n_columns), (m, n_columns)
        Finite, independent rows; at least 8 blocks of rows on either side.
    block : int
        Rows in a block, at least 2 (2 is the linear-time test); larger ones see smaller shifts.
    bandwidth : float, optional
        Default: the median distance among 200 rows, half of each side.
    seed : int

    Returns
    -------
    Discrepancy

    Raises
    ------
    DataError
        If the tables do not match, or there are too few rows.

    References
    ----------
    .. [1] Zaremba, W., Gretton, A., & Blaschko, M. (2013). B-tests: low variance kernel two-sample
       tests. NeurIPS.
    .. [2] Gretton, A., et al. (2012). A kernel two-sample test. JMLR, 13, 723-773, lemma 14.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mmd(rng.normal(size=(2000, 3)), rng.normal(0.3, 1.0, size=(2000, 3))).p < 0.001
    True
    """
    from scipy.special import stdtr

    size = min(len(reference), len(window))
    blocks = size // block
    if reference.ndim != 2 or window.ndim != 2 or reference.shape[1] != window.shape[1] or block < 2 or blocks < 8:
        raise DataError(
            f"tables of shape {reference.shape} and {window.shape} in blocks of {block}: need the same "
            "columns and 8 blocks. Hint: take more rows or smaller blocks."
        )
    rng = np.random.default_rng(seed)
    x, y = (table[rng.permutation(len(table))[: blocks * block]] for table in (reference, window))
    if bandwidth is None:
        few = np.concatenate([x[:100], y[:100]])
        apart = ((few[:, None, :] - few[None, :, :]) ** 2).sum(axis=2)
        bandwidth = math.sqrt(float(np.median(apart[np.triu_indices(len(few), 1)]))) or 1.0
    values = np.concatenate(
        [
            _block_mmd(a, b, bandwidth)
            for a, b in zip(*(_pieces(table.reshape(blocks, block, -1)) for table in (x, y)), strict=True)
        ]
    )
    spread = float(values.std(ddof=1)) / math.sqrt(blocks)
    value = float(values.mean())
    p = float(stdtr(blocks - 1, -value / spread)) if spread > 0 else 1.0
    return Discrepancy(value, p, bandwidth, blocks)


def _pieces(table: Floats) -> Sequence[Floats]:
    """Return blocks in pieces that fit in cache."""
    return np.array_split(table, max(1, len(table) // 256))


def _block_mmd(x: Floats, y: Floats, bandwidth: float) -> Floats:
    """Return the unbiased squared discrepancy of each pair of blocks, shape (n_blocks,)."""
    z = np.concatenate([x, y], axis=1)
    square = (z**2).sum(axis=2)
    apart = square[:, :, None] + square[:, None, :] - 2 * z @ z.transpose(0, 2, 1)
    kernel = np.exp(-np.maximum(apart, 0.0) / (2 * bandwidth**2))
    b = x.shape[1]
    # Pairs of one place are left out everywhere, so that the mean is 0 under equality.
    same = kernel[:, :b, :b] + kernel[:, b:, b:] - kernel[:, :b, b:] - kernel[:, b:, :b]
    total = same.sum(axis=(1, 2)) - np.trace(same, axis1=1, axis2=2)
    return np.asarray(total / (b * (b - 1)), dtype=np.float64)


@dataclass(frozen=True)
class CategoryShift:
    """
    How a column of categories moved between the reference and a window.

    Parameters
    ----------
    psi : Stability
    test : Association
        Chi-square with Cramer's V.
    jensen_shannon : float
        In [0, 1].
    missing_reference, missing_window : float
        Share of rows without a category.
    new : tuple of int
        Codes that only the window has.
    new_share : float
        Their share of the window's rows that have a category.
    """

    psi: Stability
    test: Association
    jensen_shannon: float
    missing_reference: float
    missing_window: float
    new: tuple[int, ...]
    new_share: float


def compare_categories(reference: NDArray[np.int64], window: NDArray[np.int64]) -> CategoryShift:
    """
    Return the shift of a column of categories.

    Parameters
    ----------
    reference, window : ndarray of shape (n,), (m,)
        Codes from 0 of one list of categories for both sides; -1 is missing.

    Returns
    -------
    CategoryShift

    Raises
    ------
    DataError
        If a side has no category at all.

    Examples
    --------
    >>> shift = compare_categories(np.array([0, 0, 1, 1]), np.array([0, 1, 2, -1]))
    >>> shift.new, round(shift.new_share, 4), shift.missing_window
    ((2,), 0.3333, 0.25)
    """
    size = int(max(reference.max(initial=-1), window.max(initial=-1))) + 2
    old, new = (np.bincount(codes + 1, minlength=size) for codes in (reference, window))
    shares = [float(counts[0] / max(counts.sum(), 1)) for counts in (old, new)]
    old, new = old[1:], new[1:]
    fresh = np.flatnonzero((old == 0) & (new > 0))
    return CategoryShift(
        psi=psi(old, new),
        test=chi_square(old, new),
        jensen_shannon=jensen_shannon(old, new),
        missing_reference=shares[0],
        missing_window=shares[1],
        new=tuple(fresh.tolist()),
        new_share=float(new[fresh].sum() / new.sum()),
    )
