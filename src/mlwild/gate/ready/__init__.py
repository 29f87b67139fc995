"""Ready tests: each a frozen dataclass with a verdict on a trial."""

from mlwild.gate.ready.behaviour import Churn, Directional, Invariant, Monotone
from mlwild.gate.ready.code import Deterministic, Duplicates, OverfitsSmallBatch, RowOrder, UnitChange
from mlwild.gate.ready.drill import SurvivesDrill
from mlwild.gate.ready.found import KeepsContract, NoLeaks
from mlwild.gate.ready.learning import LabelNoise, SeedStability
from mlwild.gate.ready.operation import Latency, Size
from mlwild.gate.ready.proxies import Proxy
from mlwild.gate.ready.robust import AnswersAll, AnswersGaps, Corruption, StaleFeatures
from mlwild.gate.ready.serving import ServingParity, UnknownCategories
from mlwild.gate.ready.slices import Calibrated, GroupsNotWorse
from mlwild.gate.ready.splits import LegalSplits
from mlwild.gate.ready.useful import BeatsBaselines, NotWorse

__all__ = [
    "AnswersAll",
    "AnswersGaps",
    "BeatsBaselines",
    "Calibrated",
    "Churn",
    "Corruption",
    "Deterministic",
    "Directional",
    "Duplicates",
    "GroupsNotWorse",
    "Invariant",
    "KeepsContract",
    "LabelNoise",
    "Latency",
    "LegalSplits",
    "Monotone",
    "NoLeaks",
    "NotWorse",
    "OverfitsSmallBatch",
    "Proxy",
    "RowOrder",
    "SeedStability",
    "ServingParity",
    "Size",
    "StaleFeatures",
    "SurvivesDrill",
    "UnitChange",
    "UnknownCategories",
]
