"""The triangle of vintages and its memo."""

from mlwild.triangle.build import build, update_chain
from mlwild.triangle.survey import Survey, survey
from mlwild.triangle.triangle import Tally, Triangle

__all__ = ["Survey", "Tally", "Triangle", "build", "survey", "update_chain"]
