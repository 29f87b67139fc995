"""Ready tests of the code: does the recipe learn, and does it answer the same twice."""

from mlwild.gate.ready.code.deterministic import Deterministic
from mlwild.gate.ready.code.order import Duplicates, RowOrder
from mlwild.gate.ready.code.small_batch import OverfitsSmallBatch
from mlwild.gate.ready.code.units import UnitChange

__all__ = ["Deterministic", "Duplicates", "OverfitsSmallBatch", "RowOrder", "UnitChange"]
