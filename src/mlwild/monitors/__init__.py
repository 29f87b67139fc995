"""What watches a live model: label-free estimates, shift, alarms; no I/O."""

from mlwild.monitors.confidence import ATC, CBPE, PAPE, DoC
from mlwild.monitors.drift import FeatureDrift, Missingness, NewCategories, PredictionDrift
from mlwild.monitors.estimates import ClassifierWeighting, DirectLoss, Disagreement, Mandoline
from mlwild.monitors.labelled import Age, KnownStaleness, LabelledLoss, ReferenceLoss
from mlwild.monitors.shifts import ClassifierTest, Fault, ShiftReport, classifier_test, mmd, shift
from mlwild.monitors.signal import Monitor, Signal
from mlwild.monitors.standard import DEFAULT, standard

__all__ = [
    "ATC",
    "CBPE",
    "DEFAULT",
    "PAPE",
    "Age",
    "ClassifierTest",
    "ClassifierWeighting",
    "DirectLoss",
    "Disagreement",
    "DoC",
    "Fault",
    "FeatureDrift",
    "KnownStaleness",
    "LabelledLoss",
    "Mandoline",
    "Missingness",
    "Monitor",
    "NewCategories",
    "PredictionDrift",
    "ReferenceLoss",
    "ShiftReport",
    "Signal",
    "classifier_test",
    "mmd",
    "shift",
    "standard",
]
