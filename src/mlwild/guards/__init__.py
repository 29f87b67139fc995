"""The guard: every row gets an answer that says how far to trust it. Pure functions, no clock and no disk."""

from mlwild.guards.answers import STATUSES, Answers
from mlwild.guards.exploring import Explore
from mlwild.guards.guarded import Guarded
from mlwild.guards.learning import Candidate, Known, learn_guard
from mlwild.guards.settings import Guard
from mlwild.guards.stages import Gone, Stage
from mlwild.guards.watch import Watch

__all__ = [
    "STATUSES",
    "Answers",
    "Candidate",
    "Explore",
    "Gone",
    "Guard",
    "Guarded",
    "Known",
    "Stage",
    "Watch",
    "learn_guard",
]
