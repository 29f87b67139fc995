"""What history says of splits, monitors and stages of a chain: what each promised against what came."""

from mlwild.auditions.covering import covered, level_of
from mlwild.auditions.latest import latest_shift
from mlwild.auditions.monitors import audit_monitors
from mlwild.auditions.splits import audit_splits, promised_of_life
from mlwild.auditions.stages import declared_losses, stage_losses

__all__ = [
    "audit_monitors",
    "audit_splits",
    "covered",
    "declared_losses",
    "latest_shift",
    "level_of",
    "promised_of_life",
    "stage_losses",
]
