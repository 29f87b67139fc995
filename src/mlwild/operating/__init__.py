"""The rehearsed rule, run live."""

from mlwild.operating.deploying import deploy
from mlwild.operating.desk import Gate
from mlwild.operating.driver import Operation, operate
from mlwild.operating.going_back import Rollback, rollback
from mlwild.operating.standing import standing_gate
from mlwild.operating.status import Status, status
from mlwild.operating.tick import Tick

__all__ = [
    "Gate",
    "Operation",
    "Rollback",
    "Status",
    "Tick",
    "deploy",
    "operate",
    "rollback",
    "standing_gate",
    "status",
]
