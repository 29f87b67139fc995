"""Sums that are exact: numbers as digits of 32 bits, so that what is taken off a running sum leaves no trace of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BITS = 32
_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.int64(0xFFFFFFFF)


@dataclass(frozen=True, eq=False)
class Digits:
    """
    Numbers as sums of digits: number i is the sum over j of ``digits[j, i] * 2**(32 * (first + j))``.

    Digits begin at multiples of 32 bits, whatever the other numbers are; so what is computed from them depends on the
    number alone.

    Parameters
    ----------
    first : int
    digits : ndarray of int64, shape (n_digits, n)
        Any sign.
    """

    first: int
    digits: Ints

    def tidy(self) -> tuple[Digits, Ints]:
        """Return the absolute values with digits from 0 to 2**32 - 1, and the signs (1 or -1)."""
        digits = _carried(self.digits)
        sign = np.where(digits[-1] < 0, -1, 1)
        if (sign < 0).any():
            digits = _carried(digits * sign)
        return Digits(self.first, digits), sign

    def square(self) -> Digits:
        """Return the squares; of digits from 0 to 2**32 - 1."""
        count = len(self.digits)
        made = np.zeros((2 * count, self.digits.shape[1]), np.int64)
        given = self.digits.astype(np.uint64)
        for i in range(count):
            for j in range(i, count):
                product = given[i] * given[j]
                times = 1 if i == j else 2
                made[i + j] += times * (product & _MASK).astype(np.int64)
                made[i + j + 1] += times * (product >> np.uint64(_BITS)).astype(np.int64)
        return Digits(2 * self.first, made)

    def times(self, factor: Ints) -> Digits:
        """Return the products with numbers from 0 to 2**31 - 1; of digits from 0 to 2**32 - 1."""
        return Digits(self.first, _carried(self.digits * factor))

    def less(self, other: Digits) -> Digits:
        """Return the differences."""
        first = min(self.first, other.first)
        last = max(self.first + len(self.digits), other.first + len(other.digits))
        made = np.zeros((last - first, self.digits.shape[1]), np.int64)
        made[self.first - first :][: len(self.digits)] += self.digits
        made[other.first - first :][: len(other.digits)] -= other.digits
        return Digits(first, made)

    def rounded(self) -> Floats:
        """Return the nearest floating-point numbers, ties to even."""
        whole, sign = self.tidy()
        # Two zeros below, so that three digits can be read from any on.
        digits = np.concatenate([np.zeros((2, whole.digits.shape[1]), np.int64), whole.digits]).astype(np.uint64)
        there = digits != 0
        top = len(digits) - 1 - np.argmax(there[::-1], axis=0)
        top = np.where(there.any(axis=0), top, 2)
        columns = np.arange(digits.shape[1])
        head, middle, tail = (digits[top - step, columns] for step in range(3))
        # 64 bits from the leading one on; whether anything is left below them decides ties.
        shift = (_BITS - np.frexp(head.astype(np.float64))[1]).clip(0, _BITS - 1).astype(np.uint64)
        lead = ((head << np.uint64(_BITS) | middle) << shift) | (tail >> (np.uint64(_BITS) - shift))
        rest = ((tail << shift) & _MASK) != 0
        rest |= np.argmax(there, axis=0) < top - 2
        # One bit less, so that the number has a sign to spare.
        half = ((lead >> np.uint64(1)) | (lead & np.uint64(1)) | rest.astype(np.uint64)).astype(np.int64)
        power = _BITS * (self.first + top - 2) - _BITS - shift.astype(np.int64) + 1
        with np.errstate(over="ignore", under="ignore"):
            made = np.ldexp(half.astype(np.float64) * sign, power.astype(np.int32))
        return np.where(there.any(axis=0), made, 0.0)


def _carried(digits: Ints) -> Ints:
    """Return the same numbers with digits from 0 to 2**32 - 1 but for the last, which has the sign."""
    made = np.zeros((len(digits) + 2, digits.shape[1]), np.int64)
    made[: len(digits)] = digits
    for place in range(len(made) - 1):
        made[place + 1] += made[place] >> np.int64(_BITS)
        made[place] &= _HALF
    return made


def places_of(values: Floats, *, squares: bool = False) -> Iterator[tuple[int, Ints]]:
    """
    Yield the digits of finite numbers, or of their squares: which digit, and what it is for each number.

    A digit that is zero for all of them is left out.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    squares : bool

    Examples
    --------
    >>> [(place, digit.tolist()) for place, digit in places_of(np.array([1.0, -2.0**33]))]
    [(0, [1, 0]), (1, [0, -2])]
    """
    fraction, exponent = np.frexp(values)
    size = np.abs(np.ldexp(fraction, 53)).astype(np.uint64)
    exponent = exponent.astype(np.int64) - 53
    sign = np.where(values < 0, -1, 1)
    if squares:
        # (2**27 h + l) ** 2, each of three parts below 2**54.
        high, low = size >> np.uint64(27), size & np.uint64((1 << 27) - 1)
        parts = [(high * high, 54), (high * low, 28), (low * low, 0)]
        sign, exponent = np.ones_like(sign), 2 * exponent
    else:
        parts = [(size, 0)]
    terms = []
    for part, more in parts:
        power = exponent + more
        # A zero may lie anywhere: where the others are.
        there = part != 0
        if not there.any():
            continue
        base = np.where(there, power >> 5, int((power[there] >> 5).min()))
        shift = (power & 31).astype(np.uint64)
        up = np.uint64(_BITS) - shift
        digits = ((part << shift) & _MASK, (part >> up) & _MASK, (part >> np.uint64(_BITS)) >> up)
        terms += [(base + step, digit.astype(np.int64) * sign) for step, digit in enumerate(digits) if digit.any()]
    if terms:
        for place in range(min(int(base.min()) for base, _ in terms), max(int(base.max()) for base, _ in terms) + 1):
            digit = np.zeros(len(values), np.int64)
            for base, part in terms:
                digit += np.where(base == place, part, 0)
            if digit.any():
                yield place, digit
