"""How two tables of rows differ: columns, kind of shift, faults of the data."""

from mlwild.monitors.shifts.classifier import ClassifierTest, classifier_test, mmd
from mlwild.monitors.shifts.faults import Fault
from mlwild.monitors.shifts.relation import LabelSlice
from mlwild.monitors.shifts.report import ShiftReport, shift
from mlwild.monitors.shifts.slices import Slice

__all__ = ["ClassifierTest", "Fault", "LabelSlice", "ShiftReport", "Slice", "classifier_test", "mmd", "shift"]
