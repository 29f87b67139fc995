"""
Splits: scikit-learn splitters that respect order, label delay and entities, and estimates of the next loss.

A splitter cuts rows. A scheme is an estimate of the next period's loss at a cutoff; a rehearsal
auditions schemes by what each promised against what came.
"""

from mlwild.splits.folds import Blocked, CombinatorialPurged, Purged, ShuffledKFold
from mlwild.splits.past import Past
from mlwild.splits.reads import AdaptiveWindow, LastLive, OffDiagonal, PastHoldout, PastMean, PastRepeatedHoldout
from mlwild.splits.refits import OfFolds
from mlwild.splits.rows import Rows, purge
from mlwild.splits.standard import DEFAULT, Read, Scheme, standard
from mlwild.splits.walks import Holdout, Prequential, RepeatedHoldout

__all__ = [
    "DEFAULT",
    "AdaptiveWindow",
    "Blocked",
    "CombinatorialPurged",
    "Holdout",
    "LastLive",
    "OfFolds",
    "OffDiagonal",
    "Past",
    "PastHoldout",
    "PastMean",
    "PastRepeatedHoldout",
    "Prequential",
    "Purged",
    "Read",
    "RepeatedHoldout",
    "Rows",
    "Scheme",
    "ShuffledKFold",
    "purge",
    "standard",
]
