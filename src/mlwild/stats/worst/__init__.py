"""Worst cases: of declared groups, of a share of attributes, of the next stretch of time."""

from mlwild.stats.worst.futures import Futures, future_paths
from mlwild.stats.worst.groups import WorstGroups, worst_groups
from mlwild.stats.worst.history import NextWorst, next_worst
from mlwild.stats.worst.means import serial_interval, serial_upper
from mlwild.stats.worst.subpopulation import WorstSubpopulation, worst_subpopulation

__all__ = [
    "Futures",
    "NextWorst",
    "WorstGroups",
    "WorstSubpopulation",
    "future_paths",
    "next_worst",
    "serial_interval",
    "serial_upper",
    "worst_groups",
    "worst_subpopulation",
]
