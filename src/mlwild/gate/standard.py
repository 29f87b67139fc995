"""The suite that everybody gets: what can be asked of a model without knowing what it is for."""

from __future__ import annotations

from typing import Any

from mlwild.gate.cases import Test
from mlwild.gate.ready.behaviour import Churn
from mlwild.gate.ready.code import Deterministic, Duplicates, OverfitsSmallBatch, RowOrder
from mlwild.gate.ready.found import KeepsContract, NoLeaks
from mlwild.gate.ready.learning import LabelNoise, SeedStability
from mlwild.gate.ready.operation import Latency, Size
from mlwild.gate.ready.proxies import PROXIES, Proxy
from mlwild.gate.ready.robust import AnswersAll, AnswersGaps, Corruption
from mlwild.gate.ready.serving import ServingParity, UnknownCategories
from mlwild.gate.ready.slices import Calibrated, GroupsNotWorse
from mlwild.gate.ready.splits import LegalSplits
from mlwild.gate.ready.useful import BeatsBaselines, NotWorse


def standard(app: Any) -> tuple[Test, ...]:
    """
    Return the standard tests of an app.

    Parameters
    ----------
    app : App

    Returns
    -------
    tuple of Test
    """
    made: list[Test] = [NoLeaks(), LegalSplits(), Deterministic(), RowOrder(), OverfitsSmallBatch(), Duplicates()]
    if app.contract is not None:
        made.insert(1, KeepsContract())
    made += [Size(), UnknownCategories(), Latency()]
    if app.serving is not None:  # else the app serves by the functions that trained it: nothing to compare
        made.append(ServingParity())
    made += [AnswersAll(), AnswersGaps(), Corruption(), GroupsNotWorse(), Calibrated()]
    made += [BeatsBaselines(), NotWorse(), Churn()]
    made += [SeedStability(), LabelNoise(), *(Proxy(kind) for kind in PROXIES)]
    return tuple(made)
