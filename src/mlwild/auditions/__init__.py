"""What history says of splits and monitors: what each promised against what came."""

from mlwild.auditions.splits import audit_splits

__all__ = ["audit_splits"]
