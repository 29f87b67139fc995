"""How often a stress happened in the history, where the rows can tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.held import Held
from mlwild.stats.bounds import clopper_pearson_upper
from mlwild.stats.proportions import clopper_pearson
from mlwild.stressors import Missing, Outliers, Stressor, Stuck, Tilt
from mlwild.stressors.columns import is_number, spread, values
from mlwild.stressors.values import ALL
from mlwild.wording import number

Bools = NDArray[np.bool_]


def often(stressor: Stressor, case: str, severity: float, history: Held) -> str:
    """
    Say in how many periods of the history a stress was at least so severe.

    Parameters
    ----------
    stressor : Stressor
    case : str
    severity : float
    history : Held
        Rows of the past, in order of time.

    Returns
    -------
    str
        A sentence; that the rows cannot tell where they cannot.
    """
    look = _look(stressor, case, severity, history)
    if look is None:
        return "the rows cannot tell whether it happened before"
    periods = np.unique(history.period[history.period >= 0])  # rows before the first period have no number of their own
    seen = sum(look(history.where(history.period == k)) for k in periods)
    n = len(periods)
    if seen:
        share = clopper_pearson(seen, n)
        return f"in {seen} of {n} past periods ({share.low:.0%} to {share.high:.0%} of them, 95% confidence)"
    most = number(100 * clopper_pearson_upper(0, n), 2)
    return f"never in {n} past periods: at most {most}% of periods (95% confidence)"


def _look(stressor: Stressor, case: str, severity: float, history: Held) -> Callable[[Held], bool] | None:
    """Return what says of the rows of one period whether they were under that stress."""
    if isinstance(stressor, Missing):
        names = history.columns if case == ALL else [case]
        return lambda part: all(_gaps(part, name) >= severity for name in names)
    if case not in history.columns and not isinstance(stressor, Tilt):
        return None
    if isinstance(stressor, Stuck) and is_number(history.table.column(case)):
        return lambda part: _longest_run(values(part, case)) >= severity * len(part)
    if isinstance(stressor, Outliers) and is_number(history.table.column(case)):
        whole = values(history, case)
        middle, scale = float(np.nanmean(whole)), spread(whole)
        far = stressor.distance * scale
        return lambda part: float((np.abs(values(part, case) - middle) >= far).mean()) >= severity
    if isinstance(stressor, Tilt):
        side, name = case.split(" ", 1)
        whole = values(history, name)
        middle, scale = float(np.nanmean(whole)), spread(whole)
        sign = 1 if side == "more" else -1
        return lambda part: sign * (float(np.nanmean(values(part, name))) - middle) >= severity * scale
    return None


def _gaps(part: Held, name: str) -> float:
    import pyarrow.compute as pc

    gone = pc.sum(pc.is_null(part.table.column(name), nan_is_null=True)).as_py()
    return float(gone or 0) / max(len(part), 1)


def _longest_run(column: NDArray[np.float64]) -> int:
    """
    Return the greatest number of equal values in a row.

    Examples
    --------
    >>> _longest_run(np.array([1.0, 2.0, 2.0, 2.0, 1.0]))
    3
    """
    if not len(column):
        return 0
    edges = np.flatnonzero(np.diff(column) != 0)
    return int(np.diff(np.concatenate([[-1], edges, [len(column) - 1]])).max())
