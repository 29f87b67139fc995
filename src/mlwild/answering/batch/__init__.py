"""Rows of a file answered through the guard: in order, in constant memory, and once, however often it is killed."""

from mlwild.answering.batch.run import Predicted, predict

__all__ = ["Predicted", "predict"]
