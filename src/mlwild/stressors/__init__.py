"""Stressors: transformations of a situation with a severity."""

from mlwild.stressors.checked import checked
from mlwild.stressors.feeds import FeedStops, MissingFeed, OutOfOrder, RepeatedBatch
from mlwild.stressors.own import Both, Own
from mlwild.stressors.population import Only, Tilt
from mlwild.stressors.situation import Situation, Stressor
from mlwild.stressors.standard import standard
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

__all__ = [
    "Both",
    "FeedStops",
    "LabelDelay",
    "LabelFlips",
    "Missing",
    "MissingFeed",
    "NewCategory",
    "Noise",
    "Only",
    "OutOfOrder",
    "Outliers",
    "Own",
    "Quantised",
    "RepeatedBatch",
    "SignFlip",
    "Situation",
    "Stale",
    "Stressor",
    "Stuck",
    "Swapped",
    "Tilt",
    "UnitSlip",
    "checked",
    "standard",
]
