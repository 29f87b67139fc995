"""Checks of an app's honesty: does any feature look ahead, and when are labels known."""

from mlwild.checks.check import CheckReport, Finding, check

__all__ = ["CheckReport", "Finding", "check"]
