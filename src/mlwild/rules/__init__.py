"""Retraining rules: frozen dataclasses that decide from a view; no I/O."""

from mlwild.rules.breakeven import BreakEven
from mlwild.rules.detectors import OnDetector, OnEDetector
from mlwild.rules.loss_alarm import OnLossAlarm
from mlwild.rules.risk_limit import OnRiskLimit
from mlwild.rules.schedule import Every, Never
from mlwild.rules.signal import OnSignal
from mlwild.rules.standard import DEFAULT, example, meanings, standard
from mlwild.rules.threshold import CumulativeThreshold, LossThreshold
from mlwild.rules.view import Decision, Rule, View

__all__ = [
    "DEFAULT",
    "BreakEven",
    "CumulativeThreshold",
    "Decision",
    "Every",
    "LossThreshold",
    "Never",
    "OnDetector",
    "OnEDetector",
    "OnLossAlarm",
    "OnRiskLimit",
    "OnSignal",
    "Rule",
    "View",
    "example",
    "meanings",
    "standard",
]
