"""A requirement on a mean, as a verdict: green only if chance is ruled out, yellow if the rows cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.gate.outcome import Outcome
from mlwild.stats.bounds import clopper_pearson_upper
from mlwild.stats.paired import fixed_b
from mlwild.stats.reweighting import effective_sample_size
from mlwild.stats.skewness import skewed_excess
from mlwild.wording import count, number

Floats = NDArray[np.float64]

#: Chance to pass a model that breaks the limit.
ALPHA = 0.05
#: A test is armed when it blocks a model that keeps the limit by the margin with at most this chance.
BETA = 0.005
#: What skewness takes is counted so many times: few values show about half of the skewness of a long tail.
SAFETY = 2.0
#: Greatest two-sided level that fixed-b critical values are known at.
LEVEL = 0.999
#: Contiguous batches that rows in order of time are added up in.
BATCHES = 60
#: Fewest independent rows that a mean is judged on, and fewest whose neighbours may resemble each other.
FEWEST, FEWEST_IN_ORDER = 30, 100
#: Fewer entities (of one size) are no sample of others: the mean is that of these.
FEWEST_ENTITIES = 10


@dataclass(frozen=True)
class Bounds:
    """
    A mean with one-sided bounds.

    Parameters
    ----------
    estimate, low, high : float
        The mean, and bounds that it lies below and above with chance at most `alpha` each; NaN where unknown.
    error : float
        Standard error.
    n : int
        Rows.
    method : str
    """

    estimate: float
    low: float
    high: float
    error: float
    n: int
    method: str


def bounds_of(
    values: Floats,
    *,
    weights: Floats | None = None,
    entities: NDArray[np.int64] | None = None,
    alpha: float = ALPHA,
    independent: bool = False,
) -> Bounds:
    """
    Return one-sided bounds for a mean.

    Independent rows of 0 and 1 get Clopper and Pearson's bounds. Otherwise the rows are taken in order of time:
    added up in contiguous batches, whose long-run variance is Bartlett's with fixed-b critical values, so that
    neighbours may resemble each other. Bounds are widened by what skewness takes, and those of 0 and 1 are never
    closer than Clopper and Pearson's with as many rows as the neighbours leave. Weights that leave an effective sample
    of fewer than 30 rows give no bound. Rows of one entity may resemble each other however far apart they are: what
    that adds to the variance, beyond what neighbours do, is added. Fewer entities than ten of one size are taken as
    the whole: then the mean is that of these.

    Measured share of upper bounds at 5 % that lie below the mean, independent rows, 20,000 draws: exponential values
    0.051 at 30 rows and 0.042 at 100; log-normal ones (skewness 6) 0.084, 0.064, and 0.051 at 200. Of 400 rows with
    log-normal weights that leave an effective sample of 30 to 60 (2,000 draws): uniform values 0.045 to 0.058,
    exponential ones 0.088 to 0.094; 0.16 and more below 30.
    Of rows of 12 to 1,000 entities whose means differ by half of what rows do (4,000 draws): 0.039 to 0.051, where
    bounds that do not know the entities have 0.09 to 0.35; entities that do not differ widen bounds by 3 %.

    Parameters
    ----------
    values : ndarray of shape (n,)
        In order of time.
    weights : ndarray of shape (n,), optional
    entities : ndarray of int64, shape (n,), optional
        Whom each row is about; of rows in order of time only.
    alpha : float
        Chance of each side.
    independent : bool
        Whether the rows are draws by themselves, such as generated cases.

    Raises
    ------
    DataError
        If a value is not finite: NaN never passes.

    References
    ----------
    .. [1] Kiefer, N. M., & Vogelsang, T. J. (2005). Econometric Theory, 21(6), 1130-1164.
    .. [2] Clopper, C. J., & Pearson, E. S. (1934). Biometrika, 26(4), 404-413.
    .. [3] Hall, P. (1992). JRSS-B, 54(1), 221-228.
    .. [4] Kish, L. (1965). Survey sampling. Wiley.
    .. [5] Cameron, A. C., Gelbach, J. B., & Miller, D. L. (2011). Robust inference with multiway clustering. Journal of
       Business & Economic Statistics, 29(2), 238-249.

    Examples
    --------
    >>> found = bounds_of(np.tile([0.0, 1.0, 0.0, 0.0], 100), independent=True)
    >>> found.n, found.estimate, 0.28 < found.high < 0.30
    (400, 0.25, True)
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"values: that of case {first} is {values[first]}; a mean over it says nothing.")
    n = len(values)
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if n == 0 or weight.sum() <= 0:
        return Bounds(math.nan, math.nan, math.nan, math.nan, n, "no row")
    estimate = float(np.average(values, weights=weight))
    hits = bool(np.isin(values, (0.0, 1.0)).all() and np.ptp(weight) == 0)
    if independent and hits:
        wrong = int(values.sum())
        high, low = clopper_pearson_upper(wrong, n, alpha), 1.0 - clopper_pearson_upper(n - wrong, n, alpha)
        return Bounds(estimate, low, high, math.sqrt(max(estimate * (1 - estimate), 1 / n) / n), n, "Clopper-Pearson")
    if n < (FEWEST if independent else FEWEST_IN_ORDER):
        return Bounds(estimate, math.nan, math.nan, math.nan, n, "too few rows")
    # A row with most of the weight is the mean, nearly: what the others lie off it would be taken for the error.
    if np.ptp(weight) > 0 and (effective := effective_sample_size(weight)) < FEWEST:
        why = f"their weights leave an effective sample of {number(effective, 2)}"
        return Bounds(estimate, math.nan, math.nan, math.nan, n, why)
    # A ratio of two means varies as its numerator less the ratio times its denominator.
    linear = estimate + weight / weight.mean() * (values - estimate)
    if np.ptp(linear) == 0:
        return Bounds(estimate, estimate, estimate, 0.0, n, "constant")
    if independent:
        error = float(linear.std(ddof=1)) / math.sqrt(n)
        return _widened(
            Bounds(estimate, *_student(estimate, error, n - 1, alpha), error, n, "Student's t"), linear, alpha
        )
    parts = np.array([part.mean() for part in np.array_split(linear, min(BATCHES, n))])
    found = fixed_b(parts, np.zeros(len(parts)), level=min(1 - 2 * alpha, LEVEL))
    if found.undecided:
        return Bounds(estimate, math.nan, math.nan, math.nan, n, "fewer than 8 effective batches")
    radius = (found.high - found.low) / 2 * _beyond(alpha)
    if entities is not None:
        radius = math.hypot(radius, _among_entities(linear - estimate, entities, alpha))
    error = radius / _quantile(alpha)
    made = _widened(Bounds(estimate, estimate - radius, estimate + radius, error, n, "fixed-b"), parts, alpha)
    return _as_shares(made, alpha) if hits else made


def _among_entities(off: Floats, entities: NDArray[np.int64], alpha: float) -> float:
    """Return how much wider a bound is that also holds for other entities, beyond what neighbours in time add."""
    from scipy.special import stdtrit

    kinds, place = np.unique(entities, return_inverse=True)
    sizes = np.bincount(place)
    effective = float(len(off) ** 2 / (sizes.astype(np.float64) ** 2).sum())
    if len(kinds) == len(off) or effective < FEWEST_ENTITIES:
        return 0.0
    batch = np.arange(len(off)) * min(BATCHES, len(off)) // len(off)
    both = np.unique(place * BATCHES + batch, return_inverse=True)[1]
    freedom = effective - 1
    whole = effective / freedom * float((np.bincount(place, off) ** 2).sum())
    beyond = max(whole - float((np.bincount(both, off) ** 2).sum()), 0.0)
    return float(stdtrit(freedom, 1 - alpha)) * math.sqrt(beyond) / len(off)


def _widened(found: Bounds, parts: Floats, alpha: float) -> Bounds:
    """Move the bound on the side of the long tail outwards."""
    excess = found.error * SAFETY * skewed_excess(parts, _quantile(alpha))
    return replace(found, low=found.low + min(excess, 0.0), high=found.high + max(excess, 0.0))


def _as_shares(found: Bounds, alpha: float) -> Bounds:
    """Keep bounds of a share no closer than exact ones, with as many rows as the neighbours leave of them."""
    from scipy.special import betaincinv

    n, wrong = found.n, found.estimate * found.n
    usual = (wrong + 1) / (n + 2)
    spread = max(1.0, found.error**2 * n / (usual * (1 - usual)))  # times as variable as independent rows
    wrong, rest = wrong / spread, (n - wrong) / spread
    high = 1.0 if rest == 0 else float(betaincinv(wrong + 1, rest, 1 - alpha))
    low = 0.0 if wrong == 0 else 1.0 - float(betaincinv(rest + 1, wrong, 1 - alpha))
    return replace(found, low=min(found.low, low), high=max(found.high, high))


def _beyond(alpha: float) -> float:
    """Return how much farther than the last known critical value a level beyond it lies: they rise about so fast."""
    return float(max(1.0, _quantile(alpha) / _quantile((1 - LEVEL) / 2)) ** 1.5)


def _quantile(alpha: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - alpha))


def _student(estimate: float, error: float, freedom: int, alpha: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    radius = float(stdtrit(freedom, 1 - alpha)) * error
    return estimate - radius, estimate + radius


def blocks_good(error: float, margin: float, alpha: float = ALPHA) -> float:
    """
    Return the chance that a model whose mean lies a margin below its limit is not passed.

    Examples
    --------
    >>> round(blocks_good(0.01, 0.042), 3), round(blocks_good(0.01, 0.01), 2)
    (0.005, 0.74)
    """
    from scipy.special import ndtr, ndtri

    if error == 0:
        return 0.0
    return float(ndtr(-(margin / error + float(ndtri(alpha)))))


def rows_for(error: float, n: int, margin: float, alpha: float = ALPHA, beta: float = BETA) -> int:
    """Return how many rows of the same kind it takes for the test to be armed."""
    from scipy.special import ndtri

    return math.ceil(n * ((float(ndtri(1 - alpha)) + float(ndtri(1 - beta))) * error / margin) ** 2)


def at_most(
    values: Floats,
    limit: float,
    *,
    margin: float,
    what: str,
    weights: Floats | None = None,
    entities: NDArray[np.int64] | None = None,
    independent: bool = False,
    alpha: float = ALPHA,
) -> Outcome:
    """
    Judge the requirement that a mean is at most a limit.

    Green if the upper bound is: a model that breaks the limit is passed with chance at most `alpha`, whatever
    the number of other tests (intersection-union). Red if the lower bound is above the limit, or if the test was
    armed (rows enough that a model better than the limit by `margin` would hardly ever be blocked) and did not
    pass. Otherwise it is underpowered, and says how many rows it would take.

    Parameters
    ----------
    values : ndarray of shape (n,)
        In order of time; lower is better.
    limit : float
    margin : float
        By how much a model that must not be blocked is better than the limit, above 0.
    what : str
        What the mean is, for the sentence.
    weights, entities, independent, alpha : optional
        As for `bounds_of`.

    Returns
    -------
    Outcome

    References
    ----------
    .. [1] Berger, R. L. (1982). Multiparameter hypothesis testing and acceptance sampling. Technometrics,
       24(4), 295-300.

    Examples
    --------
    >>> cases = np.tile([0.0] * 19 + [1.0], 100)
    >>> at_most(cases, 0.1, margin=0.05, what="share of flips", independent=True).said
    'share of flips is 0.05, with 95% confidence at most 0.0588; the limit is 0.1'
    >>> at_most(cases[:40], 0.1, margin=0.05, what="share of flips", independent=True).verdict
    'underpowered'
    """
    if not margin > 0:
        raise DataError(f"margin: {margin} must be above 0.")
    values = np.asarray(values, dtype=np.float64)
    gaps = np.flatnonzero(~np.isfinite(values))
    if len(gaps):
        said = f"{what} is NaN in {count(len(gaps))} of {count(len(values))} cases"
        return Outcome("fail", said, n=len(values), limit=limit, rows=tuple(int(row) for row in gaps[:5]))
    found = bounds_of(values, weights=weights, entities=entities, alpha=alpha, independent=independent)
    if found.method == "constant" and not values.any() and limit > 0:
        # Nothing was seen at all: that is no proof that the share is zero.
        high = clopper_pearson_upper(0, found.n, alpha)
        found = replace(found, high=high, error=1 / found.n, method="Clopper-Pearson")
    return judged(found, limit, margin=margin, what=what, alpha=alpha)


def _confidence(alpha: float) -> str:
    """Write a level; one beyond 99.5 % is not rounded to certainty."""
    return f"{1 - alpha:.0%}" if alpha >= 0.005 else f"{math.floor(10_000 * (1 - alpha)) / 100:g}%"


def judged(
    found: Bounds,
    limit: float,
    *,
    margin: float,
    what: str,
    alpha: float = ALPHA,
    beta: float = BETA,
    below: bool = False,
) -> Outcome:
    """
    Judge the requirement that a mean is at most a limit from its bounds: see `at_most`.

    `beta` is the chance of blocking a good model that the test is armed at; one of many parts of a test has less.
    With `below` the limit itself is not kept: equal is not better.
    """
    if math.isnan(found.estimate):
        return Outcome("underpowered", f"{what}: it is not defined on {count(found.n)} rows", n=found.n, limit=limit)
    facts: dict[str, Any] = {
        "n": found.n,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "limit": limit,
    }
    if math.isnan(found.high):
        few = found.method == "too few rows"
        more = f"; need {FEWEST if found.n < FEWEST else FEWEST_IN_ORDER} at least" if few else ""
        return Outcome("underpowered", f"{what}: {count(found.n)} rows are too few ({found.method}{more})", **facts)
    chance = blocks_good(found.error, margin, alpha)
    armed = chance <= beta
    # Unarmed, only a mean that is above the limit for certain is red.
    wrong = chance if armed else _sure_of_the_opposite(found.error, margin, alpha)
    sure = (
        f"{what} is {number(found.estimate, 3)}, with {_confidence(alpha)} confidence at most {number(found.high, 3)}"
    )
    held = f"the limit is {number(limit, 3)}"
    if found.high < limit or (found.high == limit and not below):
        return Outcome("pass", f"{sure}; {held}", blocks_good=wrong, **facts)
    if found.low > limit or armed:
        return Outcome("fail", f"{sure}; {held}", blocks_good=wrong, **facts)
    said = f"{sure}; {held}: {count(found.n)} rows cannot tell"
    if margin > 0:
        said += f", about {count(rows_for(found.error, found.n, margin, alpha, beta))} could"
    return Outcome("underpowered", said, blocks_good=wrong, **facts)


def _sure_of_the_opposite(error: float, margin: float, alpha: float) -> float:
    """Return the chance that the lower bound of a model that keeps its limit by a margin lies above the limit."""
    from scipy.special import ndtr, ndtri

    return float(ndtr(-(margin / error + float(ndtri(1 - alpha)))))
