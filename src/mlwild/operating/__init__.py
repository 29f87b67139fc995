"""The rehearsed rule, run live."""

from mlwild.operating.desk import Gate
from mlwild.operating.driver import Operation, operate
from mlwild.operating.standing import standing_gate
from mlwild.operating.status import Status, status
from mlwild.operating.tick import Tick

__all__ = ["Gate", "Operation", "Status", "Tick", "operate", "standing_gate", "status"]
