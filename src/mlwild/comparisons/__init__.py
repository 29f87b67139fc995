"""Which of several models is better, by a procedure that suits what was given."""

from mlwild.comparisons.answer import Comparison
from mlwild.comparisons.choose import compare
from mlwild.comparisons.experiments import Experiments, read_experiments
from mlwild.comparisons.given import Counts, Folds, Losses, Runs, Strategies
from mlwild.comparisons.periods import compare_models
from mlwild.comparisons.running import how_long
from mlwild.comparisons.second import read_prefer

__all__ = [
    "Comparison",
    "Counts",
    "Experiments",
    "Folds",
    "Losses",
    "Runs",
    "Strategies",
    "compare",
    "compare_models",
    "how_long",
    "read_experiments",
    "read_prefer",
]
