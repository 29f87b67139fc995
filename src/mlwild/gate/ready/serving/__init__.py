"""Ready tests of what is served: does the service answer as the rehearsal did."""

from mlwild.gate.ready.serving.parity import ServingParity
from mlwild.gate.ready.serving.unknown import UnknownCategories

__all__ = ["ServingParity", "UnknownCategories"]
