"""What history says of splits and monitors: what each promised against what came."""

from mlwild.auditions.latest import latest_shift
from mlwild.auditions.monitors import audit_monitors
from mlwild.auditions.splits import audit_splits, promised_of_life

__all__ = ["audit_monitors", "audit_splits", "latest_shift", "promised_of_life"]
