"""The rehearsed rule, run live."""

from mlwild.operating.challenging import Challenge, challenge, challenge_of, change_share, end_challenge
from mlwild.operating.deploying import deploy
from mlwild.operating.desk import Gate
from mlwild.operating.driver import Operation, operate
from mlwild.operating.going_back import Rollback, Way, rollback
from mlwild.operating.standing import standing_gate
from mlwild.operating.status import Status, status
from mlwild.operating.tick import Tick

__all__ = [
    "Challenge",
    "Gate",
    "Operation",
    "Rollback",
    "Status",
    "Tick",
    "Way",
    "challenge",
    "challenge_of",
    "change_share",
    "deploy",
    "end_challenge",
    "operate",
    "rollback",
    "standing_gate",
    "status",
]
