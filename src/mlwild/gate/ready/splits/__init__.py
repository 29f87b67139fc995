"""Ready tests of splits: are rows learned from and rows tried on apart."""

from mlwild.gate.ready.splits.legal import LegalSplits

__all__ = ["LegalSplits"]
