"""Checks of an app's honesty: does any feature look ahead, and when are labels known."""

from mlwild.checks.audit import check
from mlwild.checks.findings import CheckReport, Finding

__all__ = ["CheckReport", "Finding", "check"]
