"""The triangle of vintages and its memo."""

from mlwild.triangle.build import build, growing, update_chain
from mlwild.triangle.survey import Survey, survey
from mlwild.triangle.tally import Tally
from mlwild.triangle.triangle import Triangle

__all__ = ["Survey", "Tally", "Triangle", "build", "growing", "survey", "update_chain"]
