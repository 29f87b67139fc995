"""Curves that are learned from ranks: normal scores of values, and surprises of scores."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mlwild.stats.curve import Curve

Floats = NDArray[np.float64]

#: Knots of a monotone function that is kept.
_KNOTS = 257
#: Greatest normal score: a value that is not finite has it, and one far beyond the rows of the past.
_FAR = 50.0
#: Normal score at which a tail begins, and the least power that is taken for its own.
_TAIL, _LEAST = 1.2816, 0.1
#: Rises of the score beyond the rows at which a bent tail has knots: as far as honest rows may come, and no further.
_RISES = 1.1 ** np.arange(1.0, 6.0)
#: Numbers nearer to 0 are taken for it: between two of them a line is steeper than numbers can say.
_TINY = 1e-280


def normal_score_curve(column: Floats) -> Curve:
    """
    Return the curve from values to normal scores by rank; beyond the rows it goes on as its tail did.

    There it rises at first as a power of the distance from the median: the one by which it rose over the last tenth of
    the rows, and no higher than one. Straight on from a heavy tail, an honest value a little beyond the rows would have
    a score that hides all that is strange in other columns. What lies further out is far out, and the score goes
    straight on.

    Examples
    --------
    >>> normal_score_curve(np.arange(101.0)).at(50.0)
    0.0
    """
    known = column[~np.isnan(column)]
    if not len(known):
        return Curve((0.0,), (0.0,))
    values, counts = np.unique(_apart(known), return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(known)
    scores = ndtri(middle)
    if len(values) == 1:  # it never moved: any move is far
        gap = 1e-6 * max(abs(float(values[0])), 1.0)
        return Curve((float(values[0]) - gap, float(values[0]), float(values[0]) + gap), (-_FAR, 0.0, _FAR))
    shift = float(np.average(scores, weights=counts))
    centre = int(np.searchsorted(middle, 0.5))
    low, deep = _beyond(-values[::-1], -scores[::-1], len(values) - 1 - centre)
    high, far = _beyond(values, scores, centre)
    at = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
    knots = np.concatenate([-low[::-1], values[at], high])
    return Curve(tuple(knots.tolist()), tuple((np.concatenate([-deep[::-1], scores[at], far]) - shift).tolist()))


def _apart(numbers: Floats) -> Floats:
    """Return numbers none of which is so near to another that no line leads from one to the other."""
    return np.where(np.abs(numbers) < _TINY, 0.0, numbers)


def _beyond(values: Floats, scores: Floats, centre: int) -> tuple[Floats, Floats]:
    """Return places beyond the greatest value, and the scores there: the last is the greatest of all."""
    centre = min(centre, len(values) - 2)
    reach, height = float(values[-1] - values[centre]), float(scores[-1] - scores[centre])
    most, power, tail = (_FAR - float(scores[centre])) / height, 1.0, int(np.searchsorted(scores, _TAIL))
    if centre < tail < len(values) - 1 and reach > (part := float(values[tail] - values[centre])):
        rose = height / float(scores[tail] - scores[centre])
        power = min(max(math.log(rose) / math.log(reach / part), _LEAST), 1.0)
    rises = np.append(1.0, _RISES if power < 1.0 else [])
    out = rises ** (1.0 / power)
    out, rises = np.append(out, out[-1] * most / rises[-1])[1:], np.append(rises, most)[1:]
    at = values[centre] + reach * out
    new = np.diff(at, prepend=values[-1]) > 0  # a tenth further may be the same number
    return at[new], scores[centre] + height * rises[new]


def surprise_curve(scores: Floats) -> Curve:
    """
    Return minus the logarithm of the share of rows with as great a score; beyond them the tail goes on.

    It goes on straight, as that of an exponential law does: its slope is one over the mean excess of the tenth of the
    rows with the greatest scores, and not the greatest row's alone.

    Examples
    --------
    >>> round(float(np.exp(-surprise_curve(np.arange(99.0)).at(90.0))), 4)
    0.1
    """
    values, counts = np.unique(_apart(scores), return_counts=True)
    above = np.cumsum(counts[::-1])[::-1]
    found = -np.log((1 + above) / (len(scores) + 1))
    tail = int(np.searchsorted(found, -np.log(0.1)))
    slope = 1.0  # of scores that hardly differ: that of the missing ones, which are logarithms themselves
    if tail < len(values) - 1:
        slope = 1.0 / float(np.average(values[tail:] - values[tail], weights=counts[tail:]))
    at = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
    beyond = values[-1] + max((1e6 - found[-1]) / slope, abs(values[-1]) + 1.0)
    knots = (*values[at], beyond)
    return Curve(tuple(map(float, knots)), (*map(float, found[at]), float(found[-1] + slope * (beyond - values[-1]))))
