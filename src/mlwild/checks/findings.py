"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "note", "undecided"]


@dataclass(frozen=True)
class Finding:
    """
    The verdict of one check.

    Parameters
    ----------
    check : str
        Its name.
    verdict : {"pass", "fail", "note", "undecided"}
        A note informs; undecided means that the data are too few to tell.
    said : str
        What was found, with counts, and what to do.
    column : str or None
        The column it concerns.
    row : int or None
        Row, in order of time.
    values : tuple of str or None
        For a leak: the value with the future in sight, and without.
    """

    check: str
    verdict: Verdict
    said: str
    column: str | None = None
    row: int | None = None
    values: tuple[str, str] | None = None


@dataclass(frozen=True)
class CheckReport:
    """
    All findings on an app.

    Attributes
    ----------
    app : str
    findings : tuple of Finding
    maturity : dict
        Label delay at which 50, 90, 95 and 99 % of labels are known, in days (ticks for integer
        times); None where that was never reached.
    """

    app: str
    findings: tuple[Finding, ...]
    maturity: dict[str, float | None]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(finding.verdict == "fail" for finding in self.findings)

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """Findings of the check that cuts the future off."""
        return tuple(f for f in self.findings if f.check == "future" and f.verdict == "fail")

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "app": self.app,
            "passed": self.passed,
            "findings": [asdict(finding) for finding in self.findings],
            "label_maturity": self.maturity,
        }
