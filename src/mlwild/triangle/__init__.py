"""The triangle of vintages and its memo."""

from mlwild.triangle.survey import Survey, survey
from mlwild.triangle.triangle import Tally, Triangle, build, update_chain

__all__ = ["Survey", "Tally", "Triangle", "build", "survey", "update_chain"]
