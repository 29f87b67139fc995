"""Patch: rehearse remedies for a slice on which a model fails, and recommend what the intervals support."""

from mlwild.patching.patch import CUTOFFS, patch
from mlwild.patching.stressed import Stressed

__all__ = ["CUTOFFS", "Stressed", "patch"]
