"""Trials: candidates of a rehearsal before the gate, now and at every earlier time."""

from mlwild.trials.trial import Replay, TriangleTrial

__all__ = ["Replay", "TriangleTrial"]
