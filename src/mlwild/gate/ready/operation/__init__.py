"""Ready tests of operation: is the model quick and small enough."""

from mlwild.gate.ready.operation.latency import Latency
from mlwild.gate.ready.operation.size import Size

__all__ = ["Latency", "Size"]
