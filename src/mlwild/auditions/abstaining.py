"""What abstaining at a stated risk would have answered, and how often those answers were wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.guarding import FEWEST_PERIODS, HELD, MOST_PERIODS
from mlwild.guards.outcomes import likeliest_of
from mlwild.records import Vintage
from mlwild.stats.selective import guaranteed_threshold
from mlwild.triangle import Survey, Triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def since_of(survey: Survey, cutoff: int) -> int:
    """Return the cutoff from which a guard that is made at a cutoff holds labelled rows back to measure on."""
    edges, start = survey.grid.edges, survey.grid.row_start
    since = cutoff
    for since in range(cutoff - 1, max(cutoff - 1 - MOST_PERIODS, -1), -1):
        held = survey.known_at[int(start[since]) : int(start[cutoff])] <= edges[cutoff]
        if cutoff - since >= FEWEST_PERIODS and int(held.sum()) >= HELD:
            break
    return since


def abstained(triangle: Triangle, path: Sequence[Vintage], began: int, *, risk: float) -> dict[str, Any] | None:
    """
    Return what would have been answered in each period so far, at a stated risk.

    How sure the champion must be is learned at the beginning of each period as a guard learns it: on labelled rows that
    it had not learned from, or that a model as it was some periods before had not, in its stead. Then the period's own
    rows are answered by it or not.

    Parameters
    ----------
    triangle : Triangle
        Of the model that lives.
    path : sequence of Vintage
        What was live in each period from `began` on.
    began : int
    risk : float
        Share of the answers that may be wrong.

    Returns
    -------
    dict or None
        ``risk``; ``answered``, the share of the ``n`` labelled rows of ``periods``; ``wrong``, the share of those
        answers that named another class than came, and ``all_wrong`` if every row were answered; ``worst``, the
        greatest share of wrong answers in a period, with ``from`` and ``to``; and ``kept``, in how many periods it was
        ``risk`` at most, of ``of`` in which anything was answered; and ``said``, the same as a sentence. Shares are
        weighted where the app has propensities. None where no period can be looked at.
    """
    survey, grid = triangle.survey, triangle.survey.grid
    n = kept = of = periods = 0
    answered = wrong = missed = told = 0.0
    worst: dict[str, Any] | None = None
    for place, vintage in enumerate(path):
        period = began + place
        rows = np.sort(grid.cell_rows[grid.period_of_cell_row == period]) if period < grid.periods else np.zeros(0, int)
        sure = _threshold(triangle, vintage, period, risk)
        if sure is None or not len(rows):
            continue
        sureness, fails, weight = _judged(triangle, vintage, rows)
        if not len(fails):
            continue
        given = sureness >= sure
        periods, n, told, missed = periods + 1, n + len(fails), told + weight.sum(), missed + weight[fails].sum()
        answered, wrong = answered + weight[given].sum(), wrong + weight[given & fails].sum()
        if not given.any():
            continue
        share = float(np.average(fails[given], weights=weight[given]))
        kept, of = kept + (share <= risk), of + 1
        if worst is None or share > worst["wrong"]:
            ends = (survey.clock.show(int(grid.edges[one])) for one in (period, period + 1))
            worst = {"wrong": share, "n": int(given.sum()), **dict(zip(("from", "to"), ends, strict=True))}
    if not n:
        return None
    found = {
        "risk": risk,
        "answered": float(answered / told),
        "wrong": float(wrong / answered) if answered else None,
        "all_wrong": float(missed / told),
        "n": n,
        "periods": periods,
        "worst": worst,
        "kept": kept,
        "of": of,
    }
    return found | {"said": _said(found)}


def _said(found: dict[str, Any]) -> str:
    """Say what abstaining means, the worst period too."""
    risk, rows = f"{found['risk']:.3g}", f"{found['n']:,} labelled rows of {found['periods']} periods"
    if found["wrong"] is None:
        return f"At a risk of {risk} none of {rows} would have been answered: {found['all_wrong']:.1%} would be wrong."
    worst, when = found["worst"], f"{found['worst']['from']} to {found['worst']['to']}"
    share = f"{found['wrong']:.1%} of them wrongly ({found['all_wrong']:.1%} if all were)"
    return (
        f"At a risk of {risk}, {found['answered']:.0%} of {rows} would have been answered, {share}; at most {risk} in "
        f"{found['kept']} of {found['of']} periods. Worst: {worst['wrong']:.1%} of {worst['n']:,} from {when}."
    )


def _threshold(triangle: Triangle, live: Vintage, period: int, risk: float) -> float | None:
    """Return how sure answers must be, as it was known when a period began; None where nothing was."""
    survey, grid = triangle.survey, triangle.survey.grid
    since = since_of(survey, period)
    # One that is older than the rows did not learn from them: it is judged itself, as a guard judges it.
    stand_in = live if live.cutoff <= since else triangle.freshest(live.window, since)
    if stand_in is None or since >= period:
        return None
    rows = np.arange(int(grid.row_start[since]), int(grid.row_start[period]))
    rows = rows[survey.known_at[rows] <= grid.edges[period]]
    if not len(rows):
        return None
    sureness, fails, weight = _judged(triangle, stand_in, rows)
    if not len(fails):
        return None
    return guaranteed_threshold(sureness, fails.astype(np.float64), risk=risk, weights=weight).value


def _judged(triangle: Triangle, vintage: Vintage, rows: Ints) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Return how sure a vintage is of its likeliest class, whether another came, and weights, of rows it can answer."""
    survey = triangle.survey
    rows = rows[~triangle.unscored[rows]]
    first = int(survey.grid.row_start[vintage.cutoff])
    value = np.asarray(triangle.predictions(vintage)[rows - first], dtype=np.float64)
    good = np.isfinite(value) if value.ndim == 1 else np.isfinite(value).all(axis=1)
    likeliest, sureness = likeliest_of(value[good])
    return sureness, likeliest != survey.labels[rows[good]], survey.grid.weight[rows[good]]
