"""How long a challenger must run, and when it is no use to let it run on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlwild.errors import DataError
from mlwild.stats.paired import POWER, Difference
from mlwild.stats.sequential import STAKES


@dataclass(frozen=True)
class RowsNeeded:
    """
    How long a challenger must run.

    Parameters
    ----------
    fixed : int
        Rows until one look at the end finds the difference with the power asked for (one-sided test).
    betting : int or None
        Rows until bets, looked at after every row, have found it with that power; None for never.
    betting_typical : int or None
        Rows until bets find it in half of the cases.

    Examples
    --------
    >>> RowsNeeded(687, 1568, 910).fixed
    687
    """

    fixed: int
    betting: int | None
    betting_typical: int | None


def rows_needed(
    disagreement: float,
    difference: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    autocorrelation: float = 0.0,
) -> RowsNeeded:
    """
    Plan how many rows a challenger must run, before any of its labels is known.

    The share of rows on which two models disagree needs no labels. One look at the end takes
    (z + z')^2 disagreement / difference^2 rows; bets gather what their own stakes yield on
    differences of -1, 0 and 1, and pass 1 / alpha as a random walk with drift does.

    Measured: the share of 4,000 runs that bets decided by the planned row lies within 0.04 of the
    power asked for, for disagreement 0.05 to 0.3 and difference 0.1 to 0.4 of it.

    Parameters
    ----------
    disagreement : float
        Share of rows on which the models' labels differ, in (0, 1]; for other losses the mean
        squared difference of losses over their squared bound.
    difference : float
        Mean loss difference to be found, in units of the bound; at most `disagreement`, either sign.
    alpha : float
        Chance of a false finding, in (0, 1).
    power : float
        Chance to find the difference, in [0.5, 1).
    autocorrelation : float
        First autocorrelation of the differences, in (-1, 1); rows count (1 + r) / (1 - r) times.

    Returns
    -------
    RowsNeeded

    Raises
    ------
    DataError
        If a setting is out of its range, among them a difference of zero: no run is long enough.

    References
    ----------
    .. [1] Waudby-Smith, I., & Ramdas, A. (2024). Estimating means of bounded random variables by
       betting. JRSS-B, 86(1), 1-27.
    .. [2] Folks, J. L., & Chhikara, R. S. (1978). The inverse Gaussian distribution and its
       statistical application. JRSS-B, 40(3), 263-289 (first passage of a walk with drift).

    Examples
    --------
    >>> rows_needed(0.1, 0.03)
    RowsNeeded(fixed=687, betting=1568, betting_typical=910)
    """
    from scipy.special import ndtri

    size = abs(difference)
    if not 0 < disagreement <= 1 or not 0 < size <= disagreement:
        raise DataError(
            f"disagreement is {disagreement} and difference {difference}: need a disagreement in (0, 1] and a "
            "difference other than zero and no greater. Hint: where models agree on a row, neither gains."
        )
    if not 0 < alpha < 1 or not 0.5 <= power < 1 or not -1 < autocorrelation < 1:
        raise DataError(
            f"alpha is {alpha}, power {power} and autocorrelation {autocorrelation}: need (0, 1), [0.5, 1), (-1, 1)."
        )
    factor = (1 + autocorrelation) / (1 - autocorrelation)
    quantiles = float(ndtri(1 - alpha) + ndtri(power))
    fixed = math.ceil(factor * quantiles**2 * disagreement / size**2)
    typical = _betting_rows(disagreement, size, alpha, 0.5)
    enough = _betting_rows(disagreement, size, alpha, power)
    if typical is None or enough is None:
        return RowsNeeded(fixed, None, None)
    return RowsNeeded(fixed, math.ceil(factor * enough), math.ceil(factor * typical))


def _betting_rows(disagreement: float, size: float, alpha: float, power: float) -> float | None:
    """Return the rows by which bets have passed 1 / alpha with a chance of `power`; None for never."""
    from scipy.optimize import brentq
    from scipy.special import log_ndtr, logsumexp, ndtr

    right, wrong = (disagreement + size) / 2, (disagreement - size) / 2
    stakes = np.array([sign * stake for sign in (1, -1) for stake in STAKES])
    growth = right * np.log1p(stakes) + wrong * np.log1p(-stakes)
    if growth.max() <= 0:
        return None
    # The row at which the mean paths of all bets together pass the threshold.
    need = math.log(len(stakes) / alpha)
    mean_rows = float(brentq(lambda t: float(logsumexp(t * growth)) - need, 0.0, need / growth.max() * (1 + 1e-9)))
    # At that row a few bets carry the capital; their mix is taken for one walk with that height to climb.
    shares = np.exp(mean_rows * growth - logsumexp(mean_rows * growth))
    drift = float(shares @ growth)
    gain, loss = float(shares @ np.log1p(stakes)), float(shares @ np.log1p(-stakes))
    spread = math.sqrt(right * gain**2 + wrong * loss**2 - drift**2)
    height = drift * mean_rows
    if spread < 1e-12 or drift <= 0:
        return mean_rows

    def passed(t: float) -> float:
        root = spread * math.sqrt(t)
        back = math.exp(2 * drift * height / spread**2 + float(log_ndtr(-(drift * t + height) / root)))
        return float(ndtr((drift * t - height) / root)) + back

    most = mean_rows
    while passed(most) < power:
        most *= 2
    return float(brentq(lambda t: passed(t) - power, 1e-9 * mean_rows, most))


def futile(difference: Difference, *, cost: float, horizon: int) -> bool:
    """
    Return whether even the most favourable end of the interval does not pay for a switch to A.

    With an interval of `mlwild.stats.sequential.running_difference` it may be asked after every row,
    and a challenger that would pay is given up with a chance of 1 - level at most.

    Parameters
    ----------
    difference : Difference
        Of the challenger A and the model B in use; below zero means that A is better.
    cost : float
        Of the switch, in the unit of the losses' sum; not below zero.
    horizon : int
        Rows over which the switch must pay for itself, at least 1.

    Returns
    -------
    bool
        False where the difference is undecided: nothing is given up for want of rows.

    Raises
    ------
    DataError
        If cost or horizon is out of its range.

    References
    ----------
    .. [1] Choe, Y. J., & Ramdas, A. (2023). Comparing sequential forecasters. Operations Research.

    Examples
    --------
    >>> found = Difference(-0.01, -0.03, 0.01, 0.95, 1000, "batch means", 0.3, 0.03)
    >>> futile(found, cost=20.0, horizon=1000), futile(found, cost=50.0, horizon=1000)
    (False, True)
    """
    if cost < 0 or horizon < 1:
        raise DataError(f"cost is {cost} and horizon {horizon}, need 0 and 1 at least.")
    return not difference.undecided and -difference.low < cost / horizon
