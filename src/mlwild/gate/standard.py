"""The suite that everybody gets: what can be asked of a model without knowing what it is for."""

from __future__ import annotations

from typing import Any

from mlwild.gate.cases import Test
from mlwild.gate.ready.behaviour import Churn
from mlwild.gate.ready.leaks import NoLeaks
from mlwild.gate.ready.proxies import PROXIES, Proxy
from mlwild.gate.ready.robust import AnswersGaps, Corruption
from mlwild.gate.ready.slices import Calibrated, GroupsNotWorse
from mlwild.gate.ready.useful import BeatsBaselines, NotWorse


def standard(app: Any) -> tuple[Test, ...]:  # noqa: ARG001  what an app declares will choose among them
    """
    Return the standard tests of an app.

    Parameters
    ----------
    app : App

    Returns
    -------
    tuple of Test
    """
    made: list[Test] = [NoLeaks(), AnswersGaps(), Corruption(), GroupsNotWorse(), Calibrated()]
    made += [BeatsBaselines(), NotWorse(), Churn()]
    made += [Proxy(kind) for kind in PROXIES]
    return tuple(made)
