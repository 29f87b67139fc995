"""The monitors that are auditioned where the user names none."""

from __future__ import annotations

from mlwild.losses import Loss
from mlwild.monitors.confidence import ATC, CBPE, PAPE, DoC
from mlwild.monitors.drift import FeatureDrift, Missingness, NewCategories, PredictionDrift
from mlwild.monitors.estimates import ClassifierWeighting, DirectLoss, Disagreement
from mlwild.monitors.labelled import Age, KnownStaleness, LabelledLoss, ReferenceLoss
from mlwild.monitors.signal import Monitor, objection

#: Kept where no monitor earned its place.
DEFAULT = LabelledLoss()


def everything() -> tuple[Monitor, ...]:
    """Return all monitors that need no settings."""
    return (
        CBPE(),
        PAPE(),
        DoC(),
        ATC(),
        DirectLoss(),
        ClassifierWeighting(),
        Disagreement(),
        PredictionDrift(),
        FeatureDrift("psi"),
        FeatureDrift("wasserstein", over="mean"),
        Missingness(),
        NewCategories(),
        DEFAULT,
        LabelledLoss(4),
        KnownStaleness(),
        Age(),
        ReferenceLoss(),
    )


def standard(loss: Loss) -> tuple[Monitor, ...]:
    """
    Return the standard monitors that can watch a loss.

    Examples
    --------
    >>> from mlwild.losses import named
    >>> [monitor.name for monitor in standard(named("squared"))][:2]
    ['direct loss', 'classifier weighting']
    >>> len(standard(named("log_loss"))) - len(standard(named("squared")))
    4
    """
    return tuple(monitor for monitor in everything() if not objection(monitor, loss))
