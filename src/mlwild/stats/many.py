"""Which of many models are best: confidence sets and tests that count every model tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.block_means import bootstrap_means
from mlwild.stats.elimination import Draws, by_maximum, by_range, draws_of, ratio, share, standard_scores
from mlwild.stats.memory import Kind
from mlwild.stats.pooled import of_each

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConfidenceSet:
    """
    A set of models that contains the best one at the stated level.

    Parameters
    ----------
    included : tuple of int
        Positions of the models that cannot be told from the best; never empty.
    p_values : tuple of float
        One a model, in the order of the columns; models above 1 - level are included.
    order : tuple of int
        Positions of all models, the first dropped first.
    identical : tuple of (int, int)
        Pairs of columns whose losses are equal in every row.
    level : float
    length : float
        Mean block length used, in rows.
    n : int
        Number of rows.
    """

    included: tuple[int, ...]
    p_values: tuple[float, ...]
    order: tuple[int, ...]
    identical: tuple[tuple[int, int], ...]
    level: float
    length: float
    n: int


@dataclass(frozen=True)
class SuperiorAbility:
    """
    Hansen's three p-values of "no model is better than the benchmark".

    Parameters
    ----------
    p_value : float
        The consistent one: the one to report.
    lower, upper : float
        The ones that take no, or every, poor model for one as good as the benchmark; the upper one
        is White's reality check.
    statistic : float
        Largest mean gain over the benchmark in standard errors, at least 0.
    best : int
        Position of the model with that gain.
    length : float
        Mean block length used, in rows.
    n : int
        Number of rows.
    """

    p_value: float
    lower: float
    upper: float
    statistic: float
    best: int
    length: float
    n: int


@dataclass(frozen=True)
class StepM:
    """
    The models that are better than the benchmark.

    Parameters
    ----------
    better : tuple of int
        Positions; the chance that any of them is not better is at most 1 - level.
    p_values : tuple of float
        Adjusted for the number of models, in the order of the columns.
    level : float
    length : float
        Mean block length used, in rows.
    n : int
        Number of rows.
    """

    better: tuple[int, ...]
    p_values: tuple[float, ...]
    level: float
    length: float
    n: int


def model_confidence_set(
    losses: Floats,
    *,
    statistic: Literal["R", "max"] = "R",
    corrected: bool = True,
    level: float = 0.95,
    length: float | None = None,
    kind: Kind = "stationary",
    reps: int = 1000,
    seed: int = 0,
) -> ConfidenceSet:
    """
    Return the models that cannot be told from the best one.

    The worst model is dropped until "all that are left are equally good" is not rejected. The set
    answers "no clear best" by having more than one member; it does not say that they are equal.
    Measured on 250 rows, two best models of five, AR(0.8) losses, blocks of 20: both are kept in 0.985
    of 1,000 draws (uncorrected 0.88). Of 21 equal models, AR(0), AR(0.5) and AR(0.8) losses, one is
    lost at level 0.95 in 0.04, 0.03 and 0.00 of draws of 50 rows, 0.04, 0.04 and 0.03 of 200 (1,000 draws
    each; at 50 rows and 0.8 99 % are undecided in `mlwild.compare`).

    Parameters
    ----------
    losses : ndarray of shape (n_rows, n_models)
        In order of time; lower is better.
    statistic : {"R", "max"}
        Largest difference of two models, or largest difference from the mean of all that are left.
    corrected : bool
        Studentize by errors that count how many independent rows these are worth, pooled over models
        (see `mlwild.stats.pooled`), and allow for their own scatter; without, the p-values are those of the
        paper, too small where losses are autocorrelated. Blocks of one row say that rows are independent.
    level : float
        Chance that the set contains the best model, for many rows.
    length : float, optional
        Mean block length in rows, at least the label delay; default: the mean of what Politis and
        White's rule gives for each model's loss less the mean of all models.
    kind : {"stationary", "circular"}
        Blocks of random or of fixed length.
    reps : int
        Bootstrap replicates.
    seed : int

    Returns
    -------
    ConfidenceSet

    Raises
    ------
    DataError
        If there are under 2 models or under 8 blocks, or a loss is not finite.

    References
    ----------
    .. [1] Hansen, P. R., Lunde, A., & Nason, J. M. (2011). The model confidence set. Econometrica,
       79(2), 453-497, sections 3.1.2 and 3.2.

    Examples
    --------
    >>> losses = np.random.default_rng(0).normal(size=(300, 4)) + [0.0, 0.0, 0.5, 1.0]
    >>> model_confidence_set(losses).included
    (0, 1)
    """
    losses = _checked(losses, models=2)
    n, m = losses.shape
    pairs = tuple((i, j) for i in range(m) for j in range(i + 1, m) if np.array_equal(losses[:, i], losses[:, j]))
    relative = losses - losses.mean(axis=1, keepdims=True)  # what all models share cannot tell them apart
    boot = bootstrap_means(relative, length, kind, reps, seed)
    draws = draws_of(relative, boot, _tiny(losses), corrected=corrected)
    order, steps = (by_range if statistic == "R" else by_maximum)(draws)
    p_values = np.ones(m)
    p_values[order] = np.append(np.maximum.accumulate(steps), 1.0)
    included = tuple(int(i) for i in np.flatnonzero(p_values > 1 - level))
    return ConfidenceSet(included, tuple(p_values.tolist()), tuple(order), pairs, level, boot.length, n)


def superior_predictive_ability(
    benchmark: Floats,
    models: Floats,
    *,
    studentize: bool = True,
    corrected: bool = True,
    length: float | None = None,
    kind: Kind = "stationary",
    reps: int = 1000,
    seed: int = 0,
) -> SuperiorAbility:
    """
    Test whether any of many models is better than a benchmark.

    Measured size at 0.05, ten models equal to the benchmark, 250 rows, AR(0), AR(0.5) and AR(0.8) losses in
    blocks of 3, 10 and 20: 0.047, 0.050, 0.048 (1,000 draws each).

    Parameters
    ----------
    benchmark : ndarray of shape (n_rows,)
        Losses in order of time; lower is better.
    models : ndarray of shape (n_rows, n_models)
        Every model that was tried, also those that were thrown away.
    studentize : bool
        Divide each gain by its standard error; without, models with noisy losses decide.
    corrected : bool
        As for `model_confidence_set`, but only where studentized.
    length, kind, reps, seed : optional
        As for `model_confidence_set`.

    Returns
    -------
    SuperiorAbility

    Raises
    ------
    DataError
        If rows differ in number, there are under 8 blocks, or a loss is not finite.

    References
    ----------
    .. [1] Hansen, P. R. (2005). A test for superior predictive ability. Journal of Business &
       Economic Statistics, 23(4), 365-380. Standard errors are those of the bootstrap.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(300, 11))
    >>> bool(superior_predictive_ability(noise[:, 0], noise[:, 1:]).p_value > 0.05)
    True
    >>> bool(superior_predictive_ability(noise[:, 0] + 0.5, noise[:, 1:]).p_value < 0.01)
    True
    """
    gains, tiny = _gains(benchmark, models)
    n = len(gains)
    boot = bootstrap_means(gains, length, kind, reps, seed)
    means, draws = boot.means, boot.deviations
    scores, scale = _scores(draws_of(gains, boot, tiny, corrected=corrected), studentize=studentize)
    errors = np.sqrt((draws**2).mean(axis=1))
    best = int(np.argmax(scores))
    statistic = max(0.0, float(scores[best]))
    poor = means < -errors * math.sqrt(2 * math.log(math.log(n)))
    # Poor models stay poor under the null: their draws keep the means that the others' lose.
    kept = {"lower": np.minimum(means, 0.0), "p_value": np.where(poor, means, 0.0), "upper": np.zeros_like(means)}
    found = {}
    for name, shift in kept.items():
        tops = ratio(draws + shift[:, None], scale[:, None], tiny).max(axis=0)
        found[name] = share(np.maximum(tops, 0.0), statistic)
    return SuperiorAbility(**found, statistic=statistic, best=best, length=boot.length, n=n)


def step_m(
    benchmark: Floats,
    models: Floats,
    *,
    studentize: bool = True,
    corrected: bool = True,
    level: float = 0.95,
    length: float | None = None,
    kind: Kind = "stationary",
    reps: int = 1000,
    seed: int = 0,
) -> StepM:
    """
    Find the models that are better than a benchmark, with one error rate for all of them.

    Measured share of draws in which it names one of equal models at level 0.95, AR(0), AR(0.5) and AR(0.8)
    losses, blocks by Politis and White's rule: of 20 models 0.03, 0.04, 0.00 for 50 rows and 0.04, 0.04,
    0.04 for 200; of 200 models 0.04, 0.04, 0.00 and 0.04, 0.03, 0.03 (1,000 draws each).

    Parameters
    ----------
    benchmark, models, studentize, corrected : ndarray, ndarray, bool, bool
        As for `superior_predictive_ability`.
    level : float
        Chance that no model is named wrongly, for many rows.
    length, kind, reps, seed : optional
        As for `model_confidence_set`.

    Returns
    -------
    StepM

    Raises
    ------
    DataError
        If rows differ in number, there are under 8 blocks, or a loss is not finite.

    References
    ----------
    .. [1] Romano, J. P., & Wolf, M. (2005). Stepwise multiple testing as formalized data snooping.
       Econometrica, 73(4), 1237-1282.
    .. [2] Romano, J. P., & Wolf, M. (2016). Efficient computation of adjusted p-values for
       resampling-based stepdown multiple testing. Statistics & Probability Letters, 113, 38-40.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(300, 6))
    >>> step_m(noise[:, 0], noise[:, 1:] - [0.0, 0.5, 0.0, 0.5, 0.0]).better
    (1, 3)
    """
    gains, tiny = _gains(benchmark, models)
    boot = bootstrap_means(gains, length, kind, reps, seed)
    means = boot.means
    scores, scale = _scores(draws_of(gains, boot, tiny, corrected=corrected), studentize=studentize)
    simulated = ratio(boot.deviations, scale[:, None], tiny)
    order = np.argsort(-scores, kind="stable")
    # Row k: the largest of the k-th best model and all that are worse.
    tops = np.maximum.accumulate(simulated[order][::-1], axis=0)[::-1]
    steps = np.array([share(top, score) for top, score in zip(tops, scores[order], strict=True)])
    p_values = np.ones(len(means))
    p_values[order] = np.maximum.accumulate(steps)
    better = tuple(int(i) for i in np.flatnonzero((p_values <= 1 - level) & (means > 0)))
    return StepM(better, tuple(p_values.tolist()), level, boot.length, len(gains))


def _checked(losses: Floats, *, models: int) -> Floats:
    """Return losses as a finite matrix with enough columns."""
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or losses.shape[1] < models:
        raise DataError(f"losses have shape {losses.shape}, need (n_rows, n_models) with at least {models} models.")
    bad = np.argwhere(~np.isfinite(losses))
    if len(bad):
        row, column = bad[0]
        raise DataError(f"row {row} of model {column} has loss {losses[row, column]}; leave out rows that lack one.")
    return losses


def _gains(benchmark: Floats, models: Floats) -> tuple[Floats, float]:
    """Return what each model saves against the benchmark, and what counts as nothing."""
    models = _checked(models, models=1)
    benchmark = np.asarray(benchmark, dtype=np.float64)
    if benchmark.shape != models.shape[:1]:
        raise DataError(f"the benchmark has shape {benchmark.shape}, the models have {len(models)} rows; pair them.")
    both = _checked(np.column_stack([benchmark, models]), models=2)
    return both[:, :1] - both[:, 1:], _tiny(both)


def _tiny(losses: Floats) -> float:
    """Return the size below which a difference is rounding."""
    return 1e-12 * float(np.abs(losses).max(initial=0.0))


def _scores(draws: Draws, *, studentize: bool) -> tuple[Floats, Floats]:
    """Return each series' mean in standard errors, and the scale of its deviations."""
    boot = draws.boot
    if not studentize:
        return boot.means, np.ones_like(boot.means)
    scale = np.sqrt((boot.deviations**2).mean(axis=1))
    return standard_scores(draws, boot.means, scale, of=of_each), scale
