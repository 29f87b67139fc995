"""The gate in operation: it judges what would answer, as it was known at a cutoff."""

from __future__ import annotations

from dataclasses import replace

from mlwild.clock import today
from mlwild.errors import TooEarlyError
from mlwild.operating.desk import Desk
from mlwild.past import OwnEvents


def judged(desk: Desk, cutoff: int) -> str:
    """Return why the gate blocks what would go live at a cutoff; empty if it does not."""
    assert desk.gate is not None
    known, tables = desk.known(cutoff)
    named = {
        name: one if isinstance(one.data, OwnEvents) else replace(one, data=tables[name].rows.to_native)
        for name, one in desk.app.tables.items()
    }
    app = replace(desk.with_log(cutoff), data=known.frame.to_native, labels=None, tables=named)
    try:
        return desk.gate(app, desk.today or today())
    except TooEarlyError as problem:  # what comes later changes nothing of what was known at the cutoff
        return f"the gate cannot judge it yet: {str(problem).removeprefix('gate: ').partition('. ')[0]}"
