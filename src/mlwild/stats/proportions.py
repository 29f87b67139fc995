"""Error rates of independent rows: intervals that stay in range, differences, sizes of effects."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlwild.errors import DataError
from mlwild.stats.bootstrap import Interval
from mlwild.stats.bounds import clopper_pearson_upper


@dataclass(frozen=True)
class ProportionTest:
    """
    The difference of two independent error rates.

    Parameters
    ----------
    statistic : float
        Standard normal under "no difference"; 0 where no rate can be told from the other.
    p_value : float
        Two-sided.
    difference : Interval
        Rate of A minus rate of B, in [-1, 1]; below zero means that A is better.
    effect : float
        Cohen's h; 0.2 is called small, 0.5 medium, 0.8 large.
    """

    statistic: float
    p_value: float
    difference: Interval
    effect: float


def wilson(errors: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Return the score interval of an error rate.

    Covers the level on average over rates, in [0, 1] always; `clopper_pearson` covers it at least.

    Parameters
    ----------
    errors, n : int
        Rows in error and rows in all, independent.
    level : float

    Returns
    -------
    Interval

    Raises
    ------
    DataError
        If there is no row, or errors are not between 0 and n.

    References
    ----------
    .. [1] Wilson, E. B. (1927). Probable inference, the law of succession, and statistical
       inference. JASA, 22(158), 209-212.

    Examples
    --------
    >>> found = wilson(0, 10)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0, 0.2775)
    """
    _checked(errors, n)
    z = _normal(level)
    rate = errors / n
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if errors == 0 else max(middle - half, 0.0)
    high = 1.0 if errors == n else min(middle + half, 1.0)
    return Interval(rate, low, high, level, n)


def clopper_pearson(errors: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Return the exact interval of an error rate, which covers the level at least.

    Parameters
    ----------
    errors, n : int
        Rows in error and rows in all, independent.
    level : float

    Returns
    -------
    Interval

    Raises
    ------
    DataError
        If there is no row, or errors are not between 0 and n.

    References
    ----------
    .. [1] Clopper, C. J., & Pearson, E. S. (1934). The use of confidence or fiducial limits
       illustrated in the case of the binomial. Biometrika, 26(4), 404-413.

    Examples
    --------
    >>> found = clopper_pearson(0, 10)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0, 0.3085)
    """
    _checked(errors, n)
    tail = (1 - level) / 2
    return Interval(
        errors / n, 1.0 - clopper_pearson_upper(n - errors, n, tail), clopper_pearson_upper(errors, n, tail), level, n
    )


def proportion_difference(errors_a: int, n_a: int, errors_b: int, n_b: int, *, level: float = 0.95) -> ProportionTest:
    """
    Compare the error rates of two models on different, independent rows.

    On the same rows use `mcnemar`: this test then errs too often or too seldom.

    Parameters
    ----------
    errors_a, n_a : int
        Rows in error and rows in all of A.
    errors_b, n_b : int
        The same of B.
    level : float
        Of Newcombe's interval, which stays in [-1, 1].

    Returns
    -------
    ProportionTest
        The test is the pooled, two-sided one.

    Raises
    ------
    DataError
        If there is no row, or errors are not between 0 and n.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Interval estimation for the difference between independent
       proportions. Statistics in Medicine, 17(8), 873-890, method 10.

    Examples
    --------
    >>> found = proportion_difference(16, 100, 8, 100)
    >>> round(found.p_value, 3), round(found.difference.low, 3), round(found.difference.high, 3)
    (0.082, -0.012, 0.173)
    """
    from scipy.special import ndtr

    a, b = wilson(errors_a, n_a, level=level), wilson(errors_b, n_b, level=level)
    gap = a.estimate - b.estimate
    pooled = (errors_a + errors_b) / (n_a + n_b)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    statistic = gap / error if error > 0 else 0.0
    low = gap - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = gap + math.hypot(a.high - a.estimate, b.estimate - b.low)
    difference = Interval(gap, max(low, -1.0), min(high, 1.0), level, n_a + n_b)
    effect = cohens_h(a.estimate, b.estimate)
    return ProportionTest(statistic, min(1.0, 2 * float(ndtr(-abs(statistic)))), difference, effect)


def newcombe_paired(both: int, only_a: int, only_b: int, n: int, *, level: float = 0.95) -> Interval:
    """
    Return the interval of the difference of two error rates on the same rows.

    Parameters
    ----------
    both, only_a, only_b : int
        Rows on which both models err, only A errs, only B errs.
    n : int
        Rows in all.
    level : float

    Returns
    -------
    Interval
        Rate of A minus rate of B, in [-1, 1]; below zero means that A is better.

    Raises
    ------
    DataError
        If there is no row, or more rows are in error than there are.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Improved confidence intervals for the difference between binomial
       proportions based on paired data. Statistics in Medicine, 17(22), 2635-2650, method 10.

    Examples
    --------
    >>> found = newcombe_paired(36, 12, 2, 50)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0569, 0.3404)
    """
    _checked(both + only_a + only_b, n)
    a, b = wilson(both + only_a, n, level=level), wilson(both + only_b, n, level=level)
    neither = n - both - only_a - only_b
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    cross = float(both * neither - only_a * only_b)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)  # for continuity
    phi = cross / math.sqrt(margins) if margins else 0.0
    gap = (only_a - only_b) / n

    def reach(first: float, second: float) -> float:
        return math.sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))

    low = gap - reach(a.estimate - a.low, b.high - b.estimate)
    high = gap + reach(a.high - a.estimate, b.estimate - b.low)
    return Interval(gap, max(low, -1.0), min(high, 1.0), level, n)


def cohens_h(rate_a: float, rate_b: float) -> float:
    """
    Return the size of the difference of two rates, on a scale where it is equally hard to find.

    Parameters
    ----------
    rate_a, rate_b : float
        In [0, 1].

    Returns
    -------
    float
        In radians, in [-pi, pi]; below zero where A's rate is lower.

    Raises
    ------
    DataError
        If a rate is outside [0, 1].

    References
    ----------
    .. [1] Cohen, J. (1988). Statistical power analysis for the behavioral sciences, chapter 6.

    Examples
    --------
    >>> round(cohens_h(0.16, 0.08), 3)
    0.25
    """
    for rate in (rate_a, rate_b):
        if not 0 <= rate <= 1:
            raise DataError(f"rate is {rate}, need a number in [0, 1].")
    return 2 * math.asin(math.sqrt(rate_a)) - 2 * math.asin(math.sqrt(rate_b))


def minimum_detectable_difference(
    n: int, rate: float, *, paired: bool = False, level: float = 0.95, power: float = 0.8
) -> float:
    """
    Return the smallest difference of error rates that so many rows find with the stated power.

    Parameters
    ----------
    n : int
        Rows; a side where the sides have rows of their own.
    rate : float
        In [0, 1]. Paired: share of rows on which the models differ. Else: the error rate.
    paired : bool
        Both models on the same rows.
    level : float
        One minus the size of the two-sided test.
    power : float

    Returns
    -------
    float
        In [0, 1], by the normal approximation.

    Raises
    ------
    DataError
        If there is no row, or the rate is outside [0, 1].

    Examples
    --------
    >>> round(minimum_detectable_difference(100, 0.12), 3)
    0.129
    >>> round(minimum_detectable_difference(100, 0.12, paired=True), 3)
    0.097
    """
    from scipy.special import ndtri

    if n < 1 or not 0 <= rate <= 1:
        raise DataError(f"n is {n}, need at least 1; rate is {rate}, need a number in [0, 1].")
    variance = rate if paired else 2 * rate * (1 - rate)
    return min(1.0, (_normal(level) + float(ndtri(power))) * math.sqrt(variance / n))


def _normal(level: float) -> float:
    """Return the two-sided normal quantile."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def _checked(errors: int, n: int) -> None:
    """Refuse counts that are none."""
    if n < 1 or not 0 <= errors <= n:
        raise DataError(f"{errors} errors in {n} rows, need 0 to n of at least 1.")
