"""What people see on a terminal."""

from mlwild.show.check import show_check
from mlwild.show.comparison import show_comparison
from mlwild.show.drill import show_drill
from mlwild.show.drill_server import show_server_drill
from mlwild.show.gate import show_gate
from mlwild.show.operation import show_challenge, show_operation, show_rollback, show_status
from mlwild.show.patch import show_patch
from mlwild.show.prediction import show_predicted
from mlwild.show.progress import fits_bar
from mlwild.show.sheet import show_sheet
from mlwild.show.stress import show_stress
from mlwild.show.versions import show_history, show_reproduced, show_run
from mlwild.show.warehouse import show_batches, show_difference, show_entries, show_estimates

__all__ = [
    "fits_bar",
    "show_batches",
    "show_challenge",
    "show_check",
    "show_comparison",
    "show_difference",
    "show_drill",
    "show_entries",
    "show_estimates",
    "show_gate",
    "show_history",
    "show_operation",
    "show_patch",
    "show_predicted",
    "show_reproduced",
    "show_rollback",
    "show_run",
    "show_server_drill",
    "show_sheet",
    "show_status",
    "show_stress",
]
