"""The chaos drill: what a guard makes of faults, found out before they come."""

from mlwild.drilling.faults import FAULTS, SEVERITIES, Fault
from mlwild.drilling.replaying import Drill, drill, drilled
from mlwild.drilling.replays import Cell, Replay
from mlwild.drilling.served import ServedCell, ServedDrill

__all__ = ["FAULTS", "SEVERITIES", "Cell", "Drill", "Fault", "Replay", "ServedCell", "ServedDrill", "drill", "drilled"]
