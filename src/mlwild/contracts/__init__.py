"""What data and features must look like: a contract that is inferred once and then kept by hand."""

from mlwild.contracts.finding import Violation
from mlwild.contracts.terms import Column, Contract, Statistic, Terms
from mlwild.contracts.violations import Held, hold, violations

__all__ = ["Column", "Contract", "Held", "Statistic", "Terms", "Violation", "hold", "violations"]
