"""Sums, means and deviations of what each event sees: functions of the numbers alone, not of how they were added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.joins.digits import Digits, places_of
from mlwild.joins.seen import Seen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Events that are added up at a time: their digits stay in the cache.
CHUNK = 32_768


@dataclass(frozen=True, eq=False)
class Running:
    """
    Running sums of digits, in the order in which rows come into sight and go out of it.

    Their difference at an event is the sum over the rows that it sees, exactly: whole numbers leave no trace of what
    was taken off.

    Parameters
    ----------
    seen : Seen
    places : list of int
    come, gone : list of ndarray of int64, shape (n_rows + 1,)
    """

    seen: Seen
    places: list[int]
    come: list[Ints]
    gone: list[Ints]

    @staticmethod
    def of(seen: Seen, values: Floats, *, squares: bool = False) -> Running:
        """Add up the values of the rows, or their squares."""
        places, come, gone = [], [], []
        for place, digit in places_of(values, squares=squares):
            places.append(place)
            come.append(_sums(digit[seen.by_low]))
            gone.append(come[-1] if seen.by_high is seen.by_low else _sums(digit[seen.by_high]))
        return Running(seen, places, come, gone)

    def at(self, events: slice) -> Digits:
        """Return the sums of some events."""
        come, gone = self.seen.come[events], self.seen.gone[events]
        first = self.places[0] if self.places else 0
        made = np.zeros((self.places[-1] - first + 1 if self.places else 1, len(come)), np.int64)
        for place, up, down in zip(self.places, self.come, self.gone, strict=True):
            made[place - first] = up[come] - down[gone]
        return Digits(first, made)


def _sums(values: Ints) -> Ints:
    made = np.empty(len(values) + 1, np.int64)
    made[0] = 0
    np.cumsum(values, out=made[1:])
    return made


def sums(seen: Seen, values: Floats) -> Floats:
    """
    Return the sum of what each event sees: the exact one, rounded once.

    Parameters
    ----------
    seen : Seen
    values : ndarray of float64, shape (n_rows,)
        Of the rows in `seen`, none missing.

    Returns
    -------
    ndarray of float64, shape (n_events,)
        In the order of key and time; 0 where nothing is seen.

    References
    ----------
    .. [1] Kulisch, U. (2013). Computer arithmetic and validity, ch. 8: exact sums in fixed point.

    Examples
    --------
    >>> seen = Seen(np.arange(3), np.array([0, 1, 2]), np.array([2, 3, 4]), 4)
    >>> sums(seen, np.array([1e16, 1.0, 0.1])).tolist()
    [1e+16, 1e+16, 1.1, 0.1]
    """
    whole, special = _finite(seen, values)
    running = Running.of(seen, whole)
    made = np.empty(seen.n)
    for events in _chunks(seen.n):
        made[events] = running.at(events).rounded()
    return made if special is None else np.where(special != 0, special, made)


def deviations(seen: Seen, values: Floats) -> Floats:
    """
    Return the standard deviation (n - 1) of what each event sees; NaN below two rows, or with an infinite one.

    ``n * sum(x**2) - sum(x)**2`` is a whole number of very many digits: it is computed as such, and rounded once.

    Parameters
    ----------
    seen : Seen
    values : ndarray of float64, shape (n_rows,)

    Examples
    --------
    >>> seen = Seen(np.arange(3), np.array([0, 0, 0]), np.array([1, 1, 1]), 1)
    >>> deviations(seen, 1e9 + np.array([0.001, 0.002, 0.003])).round(6).tolist()
    [0.001]
    """
    whole, special = _finite(seen, values)
    plain, squares = Running.of(seen, whole), Running.of(seen, whole, squares=True)
    count = seen.count()
    made = np.empty(seen.n)
    for events in _chunks(seen.n):
        n = count[events]
        both = squares.at(events).tidy()[0].times(n).less(plain.at(events).tidy()[0].square())
        with np.errstate(invalid="ignore", divide="ignore"):
            made[events] = np.sqrt(both.rounded() / (n * (n - 1.0)))
    made[count < 2] = np.nan
    if special is not None:
        made[special != 0] = np.nan
    return made


def _chunks(n: int) -> list[slice]:
    return [slice(at, min(at + CHUNK, n)) for at in range(0, n, CHUNK)]


def _finite(seen: Seen, values: Floats) -> tuple[Floats, Floats | None]:
    """Return the values with infinite ones as 0, and what those add up to; None without any."""
    odd = np.isinf(values)
    if not odd.any():
        return values, None
    made = np.zeros(seen.n)
    up, down = (seen.where(values == one).count() > 0 for one in (np.inf, -np.inf))
    made[up], made[down] = np.inf, -np.inf
    made[up & down] = np.nan
    return np.where(odd, 0.0, values), made
