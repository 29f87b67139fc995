"""Which of several models is better, by a procedure that suits what was given."""

from mlwild.comparisons.periods import compare_models

__all__ = ["compare_models"]
