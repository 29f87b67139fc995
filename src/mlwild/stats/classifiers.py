"""Comparisons of classifiers on independent rows, and of errors over resamplings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bootstrap import Interval
from mlwild.stats.proportions import newcombe_paired

Floats = NDArray[np.float64]

#: Rows on which two models differ, below which McNemar's test is made exactly.
FEW_DISCORDANT = 25


@dataclass(frozen=True)
class PairedTest:
    """
    A test of two or more models on the same rows or the same resamplings.

    Parameters
    ----------
    statistic : float
        NaN for an exact test, which has none.
    p_value : float
        Two-sided.
    method : str
        The test that was made.
    n : int
        Rows or resamplings that speak: those on which the models differ, where rows are counted.
    difference : Interval or None
        Mean loss of A minus that of B; below zero means that A is better. None for more than two.
    """

    statistic: float
    p_value: float
    method: str
    n: int
    difference: Interval | None


@dataclass(frozen=True)
class OutOfBag:
    """
    Estimates of the error of a model from bootstrap rounds.

    Parameters
    ----------
    out_of_bag : float
        Mean error on rows left out; too high, as the model saw 63 % of the rows.
    plain : float
        The .632 estimate; too low for a model that learns its rows by heart.
    plus : float
        The .632+ estimate: the one to report.
    overfitting : float
        Relative overfitting rate in [0, 1]: 0, none; 1, the model knows nothing of other rows.
    low, high : float
        Percentiles of the rounds' .632+ estimates.
    level : float
    """

    out_of_bag: float
    plain: float
    plus: float
    overfitting: float
    low: float
    high: float
    level: float


def mcnemar(errors_a: Floats, errors_b: Floats, *, exact: bool | None = None, level: float = 0.95) -> PairedTest:
    """
    Test whether two classifiers err equally often on the same independent rows.

    Parameters
    ----------
    errors_a, errors_b : ndarray of shape (n_rows,)
        1 (or True) where the model errs, else 0; same rows for both.
    exact : bool, optional
        Binomial test or the chi-square one with continuity correction; default: exact below 25
        rows on which the models differ.
    level : float
        Of the interval of the difference (Newcombe's for pairs, inside [-1, 1]).

    Returns
    -------
    PairedTest

    Raises
    ------
    DataError
        If the shapes differ, there is no row, or a value is neither 0 nor 1.

    References
    ----------
    .. [1] McNemar, Q. (1947). Note on the sampling error of the difference between correlated
       proportions or percentages. Psychometrika, 12(2), 153-157.
    .. [2] Edwards, A. L. (1948). Note on the "correction for continuity" in testing the significance
       of the difference between correlated proportions. Psychometrika, 13(3), 185-187.

    Examples
    --------
    >>> a = np.repeat([0, 1, 0, 1], [9945, 15, 25, 15])
    >>> b = np.repeat([0, 0, 1, 1], [9945, 15, 25, 15])
    >>> found = mcnemar(a, b)
    >>> round(found.statistic, 3), round(found.p_value, 4)
    (2.025, 0.1547)
    """
    from scipy.special import bdtr, chdtrc

    both = _checked_errors(errors_a, errors_b)
    only_a = int((both[:, 0] > both[:, 1]).sum())
    only_b = int((both[:, 0] < both[:, 1]).sum())
    differ = only_a + only_b
    difference = newcombe_paired(int(both.min(axis=1).sum()), only_a, only_b, len(both), level=level)
    if exact or (exact is None and differ < FEW_DISCORDANT) or not differ:
        p_value = 1.0 if not differ else min(1.0, 2 * float(bdtr(min(only_a, only_b), differ, 0.5)))
        return PairedTest(math.nan, p_value, "McNemar, exact", differ, difference)
    statistic = max(abs(only_a - only_b) - 1, 0) ** 2 / differ
    return PairedTest(statistic, float(chdtrc(1, statistic)), "McNemar, corrected", differ, difference)


def cochran_q(errors: Floats) -> PairedTest:
    """
    Test whether two or more classifiers err equally often on the same independent rows.

    Parameters
    ----------
    errors : ndarray of shape (n_rows, n_models)
        1 (or True) where the model errs, else 0.

    Returns
    -------
    PairedTest
        Where it rejects, compare pairs with `mcnemar` and divide 1 - level by the number of pairs.

    Raises
    ------
    DataError
        If there is no row, there are under 2 models, or a value is neither 0 nor 1.

    References
    ----------
    .. [1] Cochran, W. G. (1950). The comparison of percentages in matched samples. Biometrika,
       37(3/4), 256-266.

    Examples
    --------
    >>> errors = np.repeat([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]], [11, 3, 3, 5, 78], axis=0)
    >>> found = cochran_q(errors)
    >>> round(found.statistic, 3), round(found.p_value, 3)
    (7.529, 0.023)
    """
    from scipy.special import chdtrc

    errors = _checked_errors(*np.asarray(errors, dtype=np.float64).T)
    m = errors.shape[1]
    of_models, of_rows = errors.sum(axis=0), errors.sum(axis=1)
    differ = int(((of_rows > 0) & (of_rows < m)).sum())
    if not differ:
        return PairedTest(0.0, 1.0, "Cochran's Q", 0, None)
    spread = m * of_rows.sum() - (of_rows**2).sum()
    statistic = float((m - 1) * (m * (of_models**2).sum() - of_models.sum() ** 2) / spread)
    return PairedTest(statistic, float(chdtrc(m - 1, statistic)), "Cochran's Q", differ, None)


def five_by_two_f(differences: Floats, *, level: float = 0.95) -> PairedTest:
    """
    Test two learning algorithms by five replications of two-fold cross-validation.

    Parameters
    ----------
    differences : ndarray of shape (5, 2)
        Loss of A minus that of B: one row a replication, one column a fold.
    level : float
        Of the interval: every common difference that the test does not reject; NaN bounds where
        it rejects them all.

    Returns
    -------
    PairedTest

    Raises
    ------
    DataError
        If the shape is another one, or a value is not finite.

    References
    ----------
    .. [1] Alpaydin, E. (1999). Combined 5x2 cv F test for comparing supervised classification
       learning algorithms. Neural Computation, 11(8), 1885-1892.

    Examples
    --------
    >>> differences = np.array([[-0.04, -0.05], [-0.03, -0.05], [-0.04, -0.04], [-0.05, -0.03], [-0.04, -0.06]])
    >>> found = five_by_two_f(differences)
    >>> round(found.statistic, 2), round(found.p_value, 4)
    (14.85, 0.0041)
    """
    from scipy.special import fdtrc, fdtri

    p = np.asarray(differences, dtype=np.float64)
    if p.shape != (5, 2) or not np.isfinite(p).all():
        raise DataError(f"differences have shape {p.shape}, need (5, 2) finite values: replications by folds.")
    spread = float(((p[:, 0] - p[:, 1]) ** 2).sum())  # 2 sum s_i^2
    mean = float(p.mean())
    total = float((p**2).sum())
    statistic = total / spread if spread > 0 else math.inf if total > 0 else 0.0
    # Differences p - d have sum of squares total - 10 mean^2 + 10 (mean - d)^2.
    room = (float(fdtri(10, 5, level)) * spread - (total - 10 * mean**2)) / 10
    half = math.sqrt(room) if room >= 0 else math.nan
    return PairedTest(
        statistic,
        float(fdtrc(10, 5, statistic)) if math.isfinite(statistic) else 0.0,
        "combined 5x2cv F",
        10,
        Interval(mean, mean - half, mean + half, level, 10),
    )


def corrected_resampled_t(differences: Floats, *, test_share: float, level: float = 0.95) -> PairedTest:
    """
    Test two learning algorithms over resamplings of one data set that overlap.

    Parameters
    ----------
    differences : ndarray of shape (n_resamplings,)
        Loss of A minus that of B on each test part: repeated hold-out or (repeated) k folds.
    test_share : float
        Rows in a test part over rows in its training part; 1 / (k - 1) for k folds.
    level : float

    Returns
    -------
    PairedTest
        The interval is in the unit of the losses.

    Raises
    ------
    DataError
        If there are under 2 resamplings, a value is not finite, or the share is not above 0.

    References
    ----------
    .. [1] Nadeau, C., & Bengio, Y. (2003). Inference for the generalization error. Machine Learning,
       52(3), 239-281, equation (26).

    Examples
    --------
    >>> found = corrected_resampled_t(np.array([-0.02, 0.01, -0.03, -0.02, 0.0]), test_share=0.25)
    >>> round(found.statistic, 3), round(found.p_value, 3)
    (-1.088, 0.338)
    """
    from scipy.special import stdtr, stdtrit

    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or len(d) < 2 or not np.isfinite(d).all() or not test_share > 0:
        raise DataError(f"differences have shape {d.shape}, need 2 or more finite values; test_share is {test_share}.")
    count, mean = len(d), float(d.mean())
    error = math.sqrt((1 / count + test_share) * float(d.var(ddof=1)))
    half = float(stdtrit(count - 1, (1 + level) / 2)) * error
    if error <= 1e-15 * abs(mean) or error == 0:
        statistic, p_value = (0.0, 1.0) if mean == 0 else (math.copysign(math.inf, mean), 0.0)
    else:
        statistic = mean / error
        p_value = 2 * float(stdtr(count - 1, -abs(statistic)))
    return PairedTest(
        statistic, p_value, "corrected resampled t", count, Interval(mean, mean - half, mean + half, level, count)
    )


def no_information_error(labels: NDArray[np.int64], predictions: NDArray[np.int64]) -> float:
    """
    Return the error rate that predictions would have if labels were shuffled.

    Parameters
    ----------
    labels, predictions : ndarray of shape (n_rows,)
        Classes; predictions by the model that was fitted to all rows.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        If the shapes differ or there is no row.

    References
    ----------
    .. [1] Efron, B., & Tibshirani, R. (1997). Improvements on cross-validation: the .632+ bootstrap
       method. JASA, 92(438), 548-560, equation (27).

    Examples
    --------
    >>> no_information_error(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    0.5
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or not labels.size:
        raise DataError(f"labels have shape {labels.shape}, predictions {predictions.shape}; pair them.")
    agree = sum(float((labels == kind).mean() * (predictions == kind).mean()) for kind in np.unique(labels))
    return 1.0 - agree


def bootstrap_632(training_error: float, out_of_bag: Floats, no_information: float, *, level: float = 0.95) -> OutOfBag:
    """
    Combine the error on training rows with that on rows left out of bootstrap samples.

    Parameters
    ----------
    training_error : float
        Error of the model fitted to all rows, on those rows.
    out_of_bag : ndarray of shape (n_rounds,)
        Error on the rows left out, one a round; 50 to 200 rounds.
    no_information : float
        See `no_information_error`.
    level : float
        Of the percentile interval.

    Returns
    -------
    OutOfBag

    Raises
    ------
    DataError
        If there is no round, or a value is not finite.

    References
    ----------
    .. [1] Efron, B., & Tibshirani, R. (1997). Improvements on cross-validation: the .632+ bootstrap
       method. JASA, 92(438), 548-560, equations (24) to (32).

    Examples
    --------
    >>> found = bootstrap_632(0.0, np.array([0.5, 0.5]), 0.5)  # learned by heart, knows nothing
    >>> round(found.plain, 3), found.plus
    (0.316, 0.5)
    """
    left = np.asarray(out_of_bag, dtype=np.float64)
    if left.ndim != 1 or not len(left) or not np.isfinite([*left, training_error, no_information]).all():
        raise DataError(f"out_of_bag has shape {left.shape}, need one finite error a round.")
    mean = float(left.mean())
    plus, rate = _plus(training_error, np.array([mean]), no_information)
    rounds, _ = _plus(training_error, left, no_information)
    low, high = np.quantile(rounds, [(1 - level) / 2, (1 + level) / 2])
    plain = 0.368 * training_error + 0.632 * mean
    return OutOfBag(mean, plain, float(plus[0]), float(rate[0]), float(low), float(high), level)


def _plus(training: float, left: Floats, no_information: float) -> tuple[Floats, Floats]:
    """Return .632+ estimates and relative overfitting rates."""
    capped = np.minimum(left, no_information)
    room = no_information - training
    rate = np.where(capped > training, (capped - training) / room, 0.0) if room > 0 else np.zeros_like(left)
    plain = 0.368 * training + 0.632 * left
    return plain + (capped - training) * 0.368 * 0.632 * rate / (1 - 0.368 * rate), rate  # equation 32


def _checked_errors(*errors: Floats) -> Floats:
    """Return errors of 0 and 1 as a matrix (n_rows, n_models)."""
    shapes = [np.shape(column) for column in errors]
    if len(shapes) < 2 or len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise DataError(f"errors have shapes {shapes}, need the same rows for 2 models or more.")
    both = np.stack([np.asarray(column, dtype=np.float64) for column in errors], axis=1)
    if not np.isin(both, (0.0, 1.0)).all():
        raise DataError("an error is neither 0 nor 1. Hint: give 1 where the prediction is wrong.")
    return both
