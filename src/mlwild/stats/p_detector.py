"""An e-detector on a stream of p-values: when did rows begin to come from elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats import kernels
from mlwild.stats.gaffke import gaffke_upper

Floats = NDArray[np.float64]

#: Powers of the bets k p^(k-1): a small one for a few rows far out, a great one for many rows a little out.
POWERS = (0.3, 0.5, 0.7, 0.9)
#: A product of bets whose logarithm is as far from 0 is still a number, and so is its reciprocal.
FARTHEST = 600.0
#: No product of bets is said to be greater than the exponential of this.
_LARGEST = 700.0


@dataclass(frozen=True)
class Alarm:
    """
    An alarm of a detector.

    Parameters
    ----------
    row : int
        Number of the row that raised it, from 0, counted over all rows ever fed.
    began : int
        Number of the row with which it most likely began.

    Examples
    --------
    >>> Alarm(row=120, began=100).began
    100
    """

    row: int
    began: int


@dataclass(frozen=True)
class PDetector:
    """
    A mixture of Shiryaev-Roberts e-detectors that bet on small p-values; a value, moved on by `feed`.

    Each bet k p^(k-1) has a mean of one at most while p-values are what they claim. Conformal p-values that share
    their calibration rows are so on average over calibration sets only: with one set that happens to be tame
    every row is a little too outlying, for good. So each bet is divided by an upper bound of its mean given the
    calibration rows (the ranks' chances are Dirichlet(1, ..., 1), and their weighted average's quantile is
    Gaffke's bound); all hold with a chance of 1 - delta.

    Parameters
    ----------
    run_length : float
        Mean number of rows until a false alarm, at least; above 1.
    calibration : int or None
        Rows that the p-values were calibrated on; None where they are uniform given the past by themselves.
    delta : float
        Chance that the calibration rows are so tame that the run length is not kept; in (0, 0.5).
    rows : int
        Number of rows fed so far.
    value : tuple of float
        Each bet's detector; 0 at the start.
    best : tuple of float
        The product of each bet since it began.
    began : tuple of int
        The row with which each bet's product is the greatest.

    References
    ----------
    .. [1] Shin, J., Ramdas, A., & Rinaldo, A. (2024). E-detectors: a nonparametric framework for
       sequential change detection. New England Journal of Statistics in Data Science, 2(2).
    .. [2] Vovk, V., & Wang, R. (2021). E-values: calibration, combination and applications. Annals of
       Statistics, 49(3), 1736-1754 (k p^(k-1)).
    .. [3] Bates, S., Candes, E., Lei, L., Romano, Y., & Sesia, M. (2023). Testing for outliers with conformal
       p-values. Annals of Statistics, 51(1), 149-178 (marginal and calibration-conditional validity).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> detector, alarm = PDetector(100_000).feed_all(rng.random(500))
    >>> alarm is None
    True
    >>> _, alarm = detector.feed_all(rng.random(500) ** 3)
    >>> alarm.row < 550, abs(alarm.began - 500) < 10
    (True, True)
    """

    run_length: float = 100_000.0
    calibration: int | None = None
    delta: float = 0.05
    rows: int = 0
    value: tuple[float, ...] = (0.0,) * len(POWERS)
    best: tuple[float, ...] = (0.0,) * len(POWERS)
    began: tuple[int, ...] = (0,) * len(POWERS)

    def __post_init__(self) -> None:
        """Check the settings."""
        if not self.run_length > 1 or not 0 < self.delta < 0.5:
            raise DataError(f"run_length is {self.run_length} and delta {self.delta}; they need above 1 and (0, 0.5).")
        if self.calibration is not None and self.calibration < 1:
            raise DataError(f"calibration is {self.calibration}, needs one row at least.")

    def feed(self, p: float) -> tuple[PDetector, Alarm | None]:
        """
        Feed one row's p-value, in some five microseconds.

        Parameters
        ----------
        p : float
            In (0, 1].

        Returns
        -------
        detector : PDetector
            After the row; as new, but for the number of rows, where an alarm was raised.
        alarm : Alarm or None

        Raises
        ------
        DataError
            If it is no number in (0, 1], or too small for so many calibration rows.
        """
        self._check(p)
        values, bests, begans, mixed, row = [], [], [], 0.0, self.rows
        scales = _scales(self.calibration, self.delta)
        for power, scale, value, best, began in zip(POWERS, scales, self.value, self.best, self.began, strict=True):
            bet = scale * p ** (power - 1)
            now = (value + 1) * bet
            mixed += now
            values.append(now)
            bests.append((best if best > 1 else 1.0) * bet)
            begans.append(began if best > 1 else row)
        if mixed >= self.run_length * len(POWERS):
            return PDetector(self.run_length, self.calibration, self.delta, row + 1), Alarm(row, _start(bests, begans))
        after = (row + 1, tuple(values), tuple(bests), tuple(begans))
        return PDetector(self.run_length, self.calibration, self.delta, *after), None

    def feed_all(self, p: Floats) -> tuple[PDetector, Alarm | None]:
        """
        Feed the p-values of many rows, in order of arrival, up to the first alarm.

        Parameters
        ----------
        p : ndarray of shape (n_rows,)
            In (0, 1].

        Returns
        -------
        detector : PDetector
            After the last row, or after the one that raised an alarm, as new: feed it the rows from
            ``alarm.row + 1`` on.
        alarm : Alarm or None

        Raises
        ------
        DataError
            As `feed`.
        """
        p = np.asarray(p, dtype=np.float64)
        if not len(p):
            return self, None
        for end in (float(p.min()), float(p.max())):  # NaN, if there is any
            self._check(end)
        return self._plain(p) if kernels.compiled is None else self._compiled(p)

    def _compiled(self, p: Floats) -> tuple[PDetector, Alarm | None]:
        """Feed rows one after the other."""
        logs = np.empty((2, len(p)))
        np.log(p, out=logs[0])
        logs[1] = 1.0
        bets = np.exp(_logarithms(self.calibration, self.delta) @ logs)
        value, best, began = np.array(self.value), np.array(self.best), np.full(len(POWERS), -1.0)
        row = kernels.compiled.recursed(bets, float(self.run_length * len(POWERS)), value, best, began)
        bests, places = best.tolist(), zip(self.began, began.tolist(), strict=True)
        begans = [before if place < 0 else self.rows + int(place) for before, place in places]
        if row < 0:
            after = (self.rows + len(p), tuple(value.tolist()), tuple(bests), tuple(begans))
            return PDetector(self.run_length, self.calibration, self.delta, *after), None
        raised = self.rows + row
        fresh = PDetector(self.run_length, self.calibration, self.delta, raised + 1)
        return fresh, Alarm(raised, _start(bests, begans))

    def _plain(self, p: Floats) -> tuple[PDetector, Alarm | None]:
        """Do the same by sums."""
        walk = _walked(p, self.calibration, self.delta)
        with np.errstate(over="ignore", invalid="ignore"):  # what is beyond all numbers comes after an alarm
            values = _recursed(walk, np.array(self.value)[:, None])
            mixed, limit = values.sum(axis=0), self.run_length * len(POWERS)
        over = [] if mixed.max() < limit else np.flatnonzero(~(mixed < limit)).tolist()
        last = over[0] if over else len(p) - 1
        bests, begans = [], []
        # The product is greatest from the lowest point of the walk on; what went before counts while it is above 1.
        lows = walk[:, :last].argmin(axis=1).tolist() if last else [-1] * len(POWERS)
        for row, low, best, began in zip(walk, lows, self.best, self.began, strict=True):
            least, place = (-math.log(best), -1) if best > 1 else (0.0, -1)
            if low >= 0 and row.item(low) <= least:
                least, place = row.item(low), low
            bests.append(math.exp(min(row.item(last) - least, _LARGEST)))
            begans.append(began if place < 0 and best > 1 else self.rows + place + 1)
        if over:
            raised = self.rows + last
            fresh = PDetector(self.run_length, self.calibration, self.delta, raised + 1)
            return fresh, Alarm(raised, _start(bests, begans))
        kept = (tuple(values[:, -1].tolist()), tuple(bests), tuple(begans))
        return PDetector(self.run_length, self.calibration, self.delta, self.rows + len(p), *kept), None

    def _check(self, p: float) -> None:
        if not 0 < p <= 1:
            raise DataError(f"p is {p:g}, needs to lie in (0, 1].")
        if self.calibration is not None and p < (1 - 1e-9) / (self.calibration + 1):
            raise DataError(
                f"p is {p:g}, and {self.calibration} calibration rows give no less than {1 / (self.calibration + 1):g}."
            )


def _walked(p: Floats, calibration: int | None, delta: float) -> Floats:
    """Return the sum of each bet's logarithms so far: it is made of that of the p-values."""
    sums = np.empty((2, len(p)))
    np.log(p).cumsum(out=sums[0])
    sums[1] = np.arange(1.0, len(p) + 1.0)
    return np.asarray(_logarithms(calibration, delta) @ sums)


def _recursed(walk: Floats, begin: Floats) -> Floats:
    """
    Return S_t = (S_{t-1} + 1) exp(log_t) of each series, from S_0 on; no number once one is beyond all numbers.

    It is E_t (S_0 + sum_{s<=t} 1 / E_{s-1}), with E the product so far, in a unit in which E and its reciprocal are
    numbers; or else half by half.

    Parameters
    ----------
    walk : ndarray of shape (n_series, n_rows)
        Sum of the logarithms so far.
    begin : ndarray of shape (n_series, 1)
    """
    n, low, high = walk.shape[1], float(walk.min()), float(walk.max())
    if n > 1 and high - low > 2 * FARTHEST:
        half = n // 2
        first = _recursed(walk[:, :half], begin)
        rest = _recursed(walk[:, half:] - walk[:, half - 1 : half], first[:, -1:])
        return np.concatenate([first, rest], axis=1)
    unit = low / 2 + high / 2
    product = np.exp(walk - unit)
    made = np.empty_like(product)
    made[:, :1] = math.exp(min(unit, _LARGEST)) * (1.0 + begin)
    np.divide(1.0, product[:, :-1], out=made[:, 1:])
    made.cumsum(axis=1, out=made)
    made *= product
    return made


def _start(bests: list[float], begans: list[int]) -> int:
    """Return where the bet that gained most began."""
    return begans[max(range(len(bests)), key=bests.__getitem__)]


@lru_cache(maxsize=64)
def _scales(calibration: int | None, delta: float) -> tuple[float, ...]:
    """Return the factors of p^(k-1) whose bets have a mean of one at most."""
    if calibration is None:
        return POWERS
    ranks = np.arange(1, calibration + 2) / (calibration + 1)
    # Gaffke's bound adds the greatest value to the others: together one bet for each of the n + 1 ranks.
    bounds = []
    for power in POWERS:
        bets = ranks ** (power - 1)
        bounds.append(gaffke_upper(bets[1:], greatest=float(bets[0]), delta=delta / len(POWERS)))
    return tuple(1 / bound for bound in bounds)


@lru_cache(maxsize=64)
def _logarithms(calibration: int | None, delta: float) -> Floats:
    """Return by what the logarithm of each bet grows with that of a p-value, and what it is at one."""
    return np.column_stack([np.array(POWERS) - 1.0, np.log(_scales(calibration, delta))])
