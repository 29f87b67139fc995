"""The stressors that everybody gets."""

from __future__ import annotations

from mlwild.stressors.feeds import FeedStops, MissingFeed, OutOfOrder, RepeatedBatch
from mlwild.stressors.population import Tilt
from mlwild.stressors.situation import Stressor
from mlwild.stressors.training import LabelDelay, LabelFlips
from mlwild.stressors.values import (
    Missing,
    NewCategory,
    Noise,
    Outliers,
    Quantised,
    SignFlip,
    Stale,
    Stuck,
    Swapped,
    UnitSlip,
)


def standard() -> tuple[Stressor, ...]:
    """
    Return the standard stressors.

    Examples
    --------
    >>> [stressor.name for stressor in standard()][:3]
    ['noise', 'missing', 'unit slip']
    """
    values = (Noise(), Missing(), UnitSlip(), SignFlip(), Swapped(), Stuck(), Stale(), NewCategory())
    feeds = (FeedStops(), MissingFeed(), RepeatedBatch(), OutOfOrder())
    return (*values, Outliers(), Quantised(), *feeds, LabelFlips(), LabelDelay(), Tilt())
