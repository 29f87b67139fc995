"""Ready tests of what stands in for performance on rows nobody has yet."""

from mlwild.gate.ready.proxies.noise import LabelNoise
from mlwild.gate.ready.proxies.seeds import SeedStability

__all__ = ["LabelNoise", "SeedStability"]
