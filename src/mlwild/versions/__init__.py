"""Every run on record: what was done, on which data, by which code, with what result."""

from mlwild.versions.run import Run

__all__ = ["Run"]
