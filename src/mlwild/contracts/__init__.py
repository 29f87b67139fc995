"""What data and features must look like: a contract that is inferred once and then kept by hand."""

from mlwild.contracts.column import Column
from mlwild.contracts.finding import Violation
from mlwild.contracts.inference import Inferred, infer
from mlwild.contracts.reading import from_toml, read
from mlwild.contracts.terms import Contract, Statistic, Terms
from mlwild.contracts.violations import Held, hold, violations
from mlwild.contracts.writing import to_toml

__all__ = [
    "Column",
    "Contract",
    "Held",
    "Inferred",
    "Statistic",
    "Terms",
    "Violation",
    "from_toml",
    "hold",
    "infer",
    "read",
    "to_toml",
    "violations",
]
