"""Tests of a model as binary gates: each with a verdict, its evidence, its cost and its owner; one red blocks."""

from mlwild.gate.bounds import at_most
from mlwild.gate.cases import Plain, Test
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome, UnderpoweredError, Verdict, Waived
from mlwild.gate.trial import Trial

__all__ = [
    "Fitted",
    "Held",
    "Outcome",
    "Plain",
    "Test",
    "Trial",
    "UnderpoweredError",
    "Verdict",
    "Waived",
    "at_most",
]
