"""Checks of an app's honesty: does any feature look ahead, and when are labels known."""

from mlwild.checks.audit import check, findings_of
from mlwild.checks.contract import Written, contract_of, with_contract, write_contract
from mlwild.checks.findings import CheckReport, Finding
from mlwild.checks.future import cut_off

__all__ = [
    "CheckReport",
    "Finding",
    "Written",
    "check",
    "contract_of",
    "cut_off",
    "findings_of",
    "with_contract",
    "write_contract",
]
