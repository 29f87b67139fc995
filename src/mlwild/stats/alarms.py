"""Alarms that may be looked at forever: the setting is how many looks lie between false ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.bounds import upper_bound
from mlwild.stats.edetector import EDetector

Floats = NDArray[np.float64]

#: Powers of the bets on small p-values.
POWERS = (0.2, 0.35, 0.5, 0.7)


def looks_between(looks_per_year: float, per_year: float) -> float:
    """
    Return the mean number of looks between false alarms that so many a year allow, at least one.

    Parameters
    ----------
    looks_per_year : float
        How often one looks.
    per_year : float
        Tolerated false alarms a year, above 0.

    Raises
    ------
    DataError
        If a number is not positive.

    Examples
    --------
    >>> looks_between(52.0, 0.5)
    104.0
    """
    if not looks_per_year > 0 or not per_year > 0:
        raise DataError(f"{looks_per_year} looks and {per_year} false alarms a year: both must be above 0.")
    return max(looks_per_year / per_year, 1.0)


@dataclass(frozen=True)
class ConformalAlarm:
    """
    An alarm on a signal that grows: conformal p-values, bets on small ones, a Shiryaev-Roberts detector.

    A signal's p-value is the share of signals so far that are at least as large (ties are broken by a fixed
    sequence of uniform numbers). A mixture of bets ``k p^(k-1)`` wins on small ones. Where the signals are
    exchangeable the mean number of looks to a false alarm is at least `looks`.

    Parameters
    ----------
    looks : float
        Mean number of looks between false alarms, at least.
    seen : tuple of float
        Signals so far, in order.
    log_value : tuple of float
        Logarithm of each bet's detector; minus infinity at the start.
    seed : int
        Of the uniform numbers.

    References
    ----------
    .. [1] Vovk, V., Nouretdinov, I., & Gammerman, A. (2003). Testing exchangeability on-line. ICML.
    .. [2] Shin, J., Ramdas, A., & Rinaldo, A. (2024). E-detectors: a nonparametric framework for
       sequential change detection. New England Journal of Statistics in Data Science, 2(2).

    Examples
    --------
    >>> calm = ConformalAlarm(52.0)
    >>> for value in np.random.default_rng(0).normal(size=30):
    ...     calm, rung = calm.feed(float(value))
    >>> rung
    False
    >>> rings = []
    >>> for value in (5.0, 6.0, 7.0, 8.0, 9.0):
    ...     calm, rung = calm.feed(value)
    ...     rings.append(rung)
    >>> any(rings)
    True
    """

    looks: float
    seen: tuple[float, ...] = ()
    log_value: tuple[float, ...] = (-math.inf,) * len(POWERS)
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the setting."""
        if not self.looks >= 1:
            raise DataError(f"looks is {self.looks}, needs to be 1 at least.")

    def p_value(self, value: float) -> float:
        """Return the conformal p-value of the next signal, in (0, 1]."""
        past = np.asarray(self.seen)
        tie = float(np.random.default_rng((self.seed, len(past))).random())
        above, same = int((past > value).sum()), int((past == value).sum()) + 1
        return (above + max(tie, 1e-12) * same) / (len(past) + 1)

    def feed(self, value: float) -> tuple[ConformalAlarm, bool]:
        """
        Feed the next signal.

        Parameters
        ----------
        value : float
            Finite; greater is more worrying.

        Returns
        -------
        alarm : ConformalAlarm
            After the signal; the detector begins anew where it rang, and keeps the signals.
        rung : bool

        Raises
        ------
        DataError
            If the signal is not finite.
        """
        if not math.isfinite(value):
            raise DataError(f"a signal is {value}. Hint: leave looks without a signal out.")
        p = self.p_value(value)
        logs = [math.log(k) + (k - 1) * math.log(p) for k in POWERS]
        values = tuple(float(np.logaddexp(old, 0.0)) + log for old, log in zip(self.log_value, logs, strict=True))
        after = replace(self, seen=(*self.seen, value), log_value=values)
        if float(np.logaddexp.reduce(values)) - math.log(len(POWERS)) < math.log(self.looks):
            return after, False
        return replace(after, log_value=(-math.inf,) * len(POWERS)), True


@dataclass(frozen=True)
class LossAlarm:
    """
    An alarm on labelled losses, in batches as labels arrive, with the false alarms counted in looks.

    The baseline is an upper confidence bound of the mean loss of a reference. Each look feeds the labels that
    arrived since the last one, however late, in order of arrival: only their mean given the past matters.

    Parameters
    ----------
    detector : EDetector
        On the mean loss of each batch; `by_row` feeds rows.
    top : float
        Losses are divided by it, and cut off there.
    by_row : bool
        Whether rows of a batch are bets of their own: quicker, but rows of one batch must not rise and
        fall together.

    References
    ----------
    .. [1] Timans, A., Verma, R., Nalisnick, E., & Naesseth, C. A. (2025). On continuous monitoring of
       risk violations under unknown shift. UAI. The batch form averages e-values inside a batch.
    .. [2] Podkopaev, A., & Ramdas, A. (2022). Tracking the risk of a deployed model and detecting harmful
       distribution shifts. ICLR.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> alarm = loss_alarm((rng.random(2000) < 0.2).astype(float), looks=52, batch=100)
    >>> rings = []
    >>> for week in range(30):
    ...     alarm, rung = alarm.feed((rng.random(100) < (0.2 if week < 20 else 0.4)).astype(float))
    ...     rings.append(rung)
    >>> any(rings[:20]), any(rings[20:])
    (False, True)
    """

    detector: EDetector
    top: float
    by_row: bool = True

    def feed(self, losses: Floats) -> tuple[LossAlarm, bool]:
        """Feed the losses whose labels arrived since the last look; return the alarm after, and whether it rang."""
        if not len(losses):
            return self, False
        scaled = np.clip(np.asarray(losses, dtype=np.float64) / self.top, 0, 1)
        detector, rung = self.detector.feed(scaled if self.by_row else scaled.mean(keepdims=True))
        return replace(self, detector=detector), rung is not None


def loss_alarm(
    reference: Floats, *, looks: float, batch: float = 1.0, delta: float = 0.05, by_row: bool = True
) -> LossAlarm:
    """
    Return an alarm for a rise of the mean loss above that of a reference.

    Parameters
    ----------
    reference : ndarray of shape (n,)
        Labelled losses from before, at least 0. Above 1 they are cut off at their 99th percentile.
    looks : float
        Mean number of looks between false alarms, at least, with probability ``1 - delta``.
    batch : float
        Labels that a look brings on average; by row the detector is set to that many rows a look.
    delta : float
        Chance that the baseline is too low.
    by_row : bool

    Returns
    -------
    LossAlarm

    Raises
    ------
    DataError
        If there is no reference, or it is negative or not finite.
    """
    reference = np.asarray(reference, dtype=np.float64)
    if not len(reference) or not np.isfinite(reference).all() or reference.min() < 0:
        raise DataError(f"{len(reference)} reference losses must be finite and at least 0. Hint: scale the loss.")
    top = 1.0 if reference.max() <= 1 else max(float(np.quantile(reference, 0.99)), 1e-12)
    baseline = min(upper_bound(np.clip(reference / top, 0, 1), delta), 0.999)
    rows = max(looks * (batch if by_row else 1.0), 1.0)
    return LossAlarm(EDetector(baseline, rows), top, by_row)
