"""The chaos drill: what a guard makes of faults, found out before they come."""

from mlwild.drilling.faults import FAULTS, SEVERITIES, Fault
from mlwild.drilling.replaying import Cell, Drill, drill

__all__ = ["FAULTS", "SEVERITIES", "Cell", "Drill", "Fault", "drill"]
