"""Curves that are learned from ranks: normal scores of values, and surprises of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mlwild.stats.curve import Curve

Floats = NDArray[np.float64]

#: Knots of a monotone function that is kept.
_KNOTS = 257
#: Greatest normal score: a value that is not finite has it, and one far beyond the rows of the past.
_FAR = 50.0


def normal_score_curve(column: Floats) -> Curve:
    """
    Return the curve from values to normal scores by rank; beyond the rows it goes on as it went from the median.

    Examples
    --------
    >>> normal_score_curve(np.arange(101.0)).at(50.0)
    0.0
    """
    known = column[~np.isnan(column)]
    if not len(known):
        return Curve((0.0,), (0.0,))
    values, counts = np.unique(known, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(known)
    scores = ndtri(middle)
    if len(values) == 1:  # it never moved: any move is far
        gap = 1e-6 * max(abs(float(values[0])), 1.0)
        return Curve((float(values[0]) - gap, float(values[0]), float(values[0]) + gap), (-_FAR, 0.0, _FAR))
    shift = float(np.average(scores, weights=counts))
    centre = int(np.searchsorted(middle, 0.5))
    low = _slope(values, scores, 0, centre)
    high = _slope(values, scores, len(values) - 1, min(centre, len(values) - 2))
    at = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
    knots = [values[0] - (_FAR + scores[0]) / low, *values[at], values[-1] + (_FAR - scores[-1]) / high]
    return Curve(tuple(map(float, knots)), tuple(float(z) - shift for z in (-_FAR, *scores[at], _FAR)))


def _slope(values: Floats, scores: Floats, end: int, centre: int) -> float:
    """Return how steeply the scores rise from a middle place to an end."""
    if centre == end:
        centre = 1 if end == 0 else end - 1
    return float((scores[end] - scores[centre]) / (values[end] - values[centre]))


def surprise_curve(scores: Floats) -> Curve:
    """
    Return minus the logarithm of the share of rows with as great a score; beyond them the tail goes on.

    Examples
    --------
    >>> round(float(np.exp(-surprise_curve(np.arange(99.0)).at(90.0))), 4)
    0.1
    """
    values, counts = np.unique(scores, return_counts=True)
    above = np.cumsum(counts[::-1])[::-1]
    found = -np.log((1 + above) / (len(scores) + 1))
    tail = int(np.searchsorted(found, -np.log(0.1)))
    slope = 1.0  # of scores that hardly differ: that of the missing ones, which are logarithms themselves
    if tail < len(values) - 1:
        slope = float((found[-1] - found[tail]) / (values[-1] - values[tail]))
    at = np.unique(np.linspace(0, len(values) - 1, _KNOTS).round().astype(int))
    beyond = values[-1] + max((1e6 - found[-1]) / slope, abs(values[-1]) + 1.0)
    knots = (*values[at], beyond)
    return Curve(tuple(map(float, knots)), (*map(float, found[at]), float(found[-1] + slope * (beyond - values[-1]))))
