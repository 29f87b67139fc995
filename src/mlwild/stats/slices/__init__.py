"""Slices, conjunctions of bins of the features, on which a model is worse."""

from mlwild.stats.slices.best import RankedSlice
from mlwild.stats.slices.found import FoundSlice, FoundSlices, found_slices
from mlwild.stats.slices.halves import halves
from mlwild.stats.slices.rows import members
from mlwild.stats.slices.sliceline import TopSlices, sliceline

__all__ = [
    "FoundSlice",
    "FoundSlices",
    "RankedSlice",
    "TopSlices",
    "found_slices",
    "halves",
    "members",
    "sliceline",
]
