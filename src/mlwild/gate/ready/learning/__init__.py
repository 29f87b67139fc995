"""Ready tests of how the recipe learns: what is left to the seed, and what it learns by heart."""

from mlwild.gate.ready.learning.noise import LabelNoise
from mlwild.gate.ready.learning.seeds import SeedStability

__all__ = ["LabelNoise", "SeedStability"]
