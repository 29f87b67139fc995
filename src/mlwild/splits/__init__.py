"""Splits of dated rows: scikit-learn splitters that respect order, label delay and entities."""

from mlwild.splits.folds import Blocked, CombinatorialPurged, Purged, ShuffledKFold
from mlwild.splits.rows import Rows, purge
from mlwild.splits.walks import Holdout, Prequential, RepeatedHoldout

__all__ = [
    "Blocked",
    "CombinatorialPurged",
    "Holdout",
    "Prequential",
    "Purged",
    "RepeatedHoldout",
    "Rows",
    "ShuffledKFold",
    "purge",
]
