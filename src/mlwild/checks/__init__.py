"""Checks of an app's honesty: does any feature look ahead, and when are labels known."""

from mlwild.checks.audit import check, findings_of
from mlwild.checks.contract import Written, contract_of, with_contract, write_contract
from mlwild.checks.findings import CheckReport, Finding

__all__ = [
    "CheckReport",
    "Finding",
    "Written",
    "check",
    "contract_of",
    "findings_of",
    "with_contract",
    "write_contract",
]
