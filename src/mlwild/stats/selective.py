"""Abstaining: how much may be answered at what risk, and what not answering costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bounds import upper_bound

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """
    The confidence from which on rows are answered.

    Parameters
    ----------
    value : float
        Rows of at least this confidence are answered; infinite where none may be.
    coverage : float
        Share of the calibration rows that are answered, in [0, 1].
    risk : float
        Mean loss of those; NaN where there is none.
    bound : float
        Upper bound of their expected loss, valid with chance 1 - delta; NaN where none is promised.
    n : int
        Calibration rows in all.
    """

    value: float
    coverage: float
    risk: float
    bound: float
    n: int


def guaranteed_threshold(
    confidence: Floats, losses: Floats, *, risk: float, delta: float = 0.05, weights: Floats | None = None
) -> Threshold:
    """
    Return the threshold of the greatest coverage found whose risk is below a target with high chance (SGR).

    A binary search looks at ``ceil(log2(n))`` thresholds, each with a bound at delta over that number, so
    that all of them hold together. Clopper and Pearson's bound for losses of 0 and 1, else the betting
    bound. It holds for rows that come as the calibration rows came; under drift it does not.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Greater is surer, in any unit; of rows that the model did not learn from.
    losses : ndarray of shape (n_rows,)
        In [0, 1].
    risk : float
        Target for the mean loss of answered rows, in (0, 1).
    delta : float
        Chance that the promise is broken, in (0, 1).
    weights : ndarray of shape (n_rows,), optional
        Of how many rows each tells, above 0: the risk and its bound are those of the weighted mean. Default: all alike.

    Returns
    -------
    Threshold
        Infinite, with coverage 0, where no threshold that was looked at keeps the promise.

    Raises
    ------
    DataError
        If a loss lies outside of [0, 1], a value is not finite, shapes differ or there is no row.

    References
    ----------
    .. [1] Geifman, Y., & El-Yaniv, R. (2017). Selective classification for deep neural networks. NeurIPS,
       algorithm 2 (SGR).

    Examples
    --------
    >>> confidence = np.linspace(0, 1, 1000)
    >>> losses = (np.arange(1000) < 300) * (np.arange(1000) % 2 == 0) * 1.0
    >>> found = guaranteed_threshold(confidence, losses, risk=0.05)
    >>> round(found.coverage, 3), found.bound <= 0.05
    (0.744, True)
    """
    confidence, losses = _checked(confidence, losses)
    if not (0 < risk < 1 and 0 < delta < 1):
        raise DataError(f"risk is {risk} and delta {delta}, need numbers between 0 and 1.")
    n = len(losses)
    share = np.ones(n) if weights is None else weights / weights.max()
    # Their mean is at most the risk where the weighted mean of the losses is, and they are losses in [0, 1], too.
    moved = losses - (1 - share) * (losses - risk)
    ordered = np.sort(confidence)
    looks = max(1, math.ceil(math.log2(n)))
    low, high = 0, n - 1
    best = Threshold(math.inf, 0.0, math.nan, math.nan, n)
    place = 0  # everything may be answered: looked at first, as the search itself never asks it
    for _ in range(looks):
        answered = confidence >= ordered[place]
        bound, coverage = upper_bound(moved[answered], delta / looks), float(answered.mean())
        if bound <= risk:
            high = place
            if coverage > best.coverage:
                mean = float(np.average(losses[answered], weights=share[answered]))
                best = Threshold(float(ordered[place]), coverage, mean, bound, n)
            if place == 0:
                break
        else:
            low = place
        place = (low + high + 1) // 2
    return best


def priced_threshold(confidence: Floats, losses: Floats, *, price: float) -> Threshold:
    """
    Return the threshold by which losses and abstentions together cost least on the calibration rows.

    Parameters
    ----------
    confidence, losses : ndarray of shape (n_rows,)
        As for `guaranteed_threshold`; losses in any range.
    price : float
        What a row costs that is not answered, in the unit of the losses; at least 0.

    Returns
    -------
    Threshold
        No bound is promised: it is NaN.

    Raises
    ------
    DataError
        If the price is negative, a value is not finite, shapes differ or there is no row.

    References
    ----------
    .. [1] Chow, C. K. (1970). On optimum recognition error and reject tradeoff. IEEE Transactions on
       Information Theory, 16(1), 41-46.

    Examples
    --------
    >>> found = priced_threshold(np.array([0.5, 0.6, 0.9, 0.8]), np.array([1.0, 1.0, 0.0, 0.0]), price=0.3)
    >>> found.value, found.coverage
    (0.8, 0.5)
    """
    confidence, losses = _checked(confidence, losses, most=math.inf)
    if not 0 <= price < math.inf:
        raise DataError(f"price is {price}, needs to be a finite number of at least 0.")
    n = len(losses)
    order = np.argsort(-confidence, kind="stable")
    last = np.append(confidence[order][1:] != confidence[order][:-1], True)  # ties share one threshold
    answered = np.append(0, np.flatnonzero(last) + 1)
    lost = np.append(0.0, np.cumsum(losses[order]))[answered]
    cost = lost + price * (n - answered)
    best = int(len(cost) - 1 - np.argmin(cost[::-1]))  # of equals, the greatest coverage
    taken = int(answered[best])
    if not taken:
        return Threshold(math.inf, 0.0, math.nan, math.nan, n)
    return Threshold(float(confidence[order][taken - 1]), taken / n, float(lost[best] / taken), math.nan, n)


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """
    What answering only the surest rows would risk.

    Parameters
    ----------
    coverage, risk : ndarray of shape (n_rows,)
        Share answered and mean loss of those, surest first; ties in their mean over all orders.
    area : float
        Mean risk over all coverages (AURC), in the unit of the losses.
    excess : float
        What of it a perfect ranking would save, at least 0: recalibration cannot.
    """

    coverage: Floats
    risk: Floats
    area: float
    excess: float


def risk_coverage(confidence: Floats, losses: Floats) -> RiskCoverage:
    """
    Return the risk-coverage curve, its area, and what a perfect ranking would save.

    Parameters
    ----------
    confidence, losses : ndarray of shape (n_rows,)
        Greater confidence is surer; losses finite, at least 0.

    Raises
    ------
    DataError
        If a value is not finite or negative, shapes differ or there is no row.

    References
    ----------
    .. [1] Geifman, Y., Uziel, G., & El-Yaniv, R. (2019). Bias-reduced uncertainty estimation for deep neural
       classifiers. ICLR, section 3.

    Examples
    --------
    >>> curve = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.0, 1.0, 0.0, 1.0]))
    >>> curve.risk.round(3).tolist(), round(curve.area, 3), round(curve.excess, 3)
    ([0.0, 0.5, 0.333, 0.5], 0.333, 0.125)
    """
    confidence, losses = _checked(confidence, losses, most=math.inf)
    n = len(losses)
    order = np.argsort(-confidence, kind="stable")
    _, kind = np.unique(-confidence[order], return_inverse=True)
    mean = np.bincount(kind, losses[order]) / np.bincount(kind)  # expected loss within ties
    steps = np.arange(1, n + 1)
    risk = np.cumsum(mean[kind]) / steps
    perfect = np.cumsum(np.sort(losses)) / steps
    return RiskCoverage(steps / n, risk, float(risk.mean()), max(0.0, float((risk - perfect).mean())))


def _checked(confidence: Floats, losses: Floats, most: float = 1.0) -> tuple[Floats, Floats]:
    sure, lost = np.asarray(confidence, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if sure.shape != lost.shape or sure.ndim != 1 or not len(sure):
        raise DataError(f"confidence has shape {sure.shape} and losses {lost.shape}: need one of each a row.")
    for name, values in (("confidence", sure), ("losses", lost)):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"{name}[{row}] is {values[row]}. Hint: leave rows out that are not finite.")
    if lost.min() < 0 or lost.max() > most:
        raise DataError(f"losses go from {lost.min():g} to {lost.max():g}, need at least 0 and at most {most:g}.")
    return sure, lost
