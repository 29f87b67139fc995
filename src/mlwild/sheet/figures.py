"""Figures of a sheet: numbers that JSON can hold, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.lives import Life
from mlwild.records import Prices
from mlwild.stats.bootstrap import Interval
from mlwild.triangle import Survey

Floats = NDArray[np.float64]

LEVEL = 0.9


def finite(value: float) -> float | None:
    """Return a number that JSON can hold: NaN and infinity become null."""
    return float(value) if isfinite(value) else None


def bounds(interval: Interval, prefix: str = "", least: float = -np.inf) -> dict[str, Any]:
    """Return the ends of an interval; none lies below the least that is possible."""
    return {f"{prefix}low": finite(max(interval.low, least)), f"{prefix}high": finite(max(interval.high, least))}


def least(survey: Survey) -> float:
    """Return the least that a loss can be."""
    return survey.loss.least


def costs_by_period(lives: Sequence[Life], prices: Prices | None) -> Floats:
    """Return the cost by period, averaged over seeds."""
    return np.asarray(np.mean([life.cost(prices) for life in lives], axis=0))
