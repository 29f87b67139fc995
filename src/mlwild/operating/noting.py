"""What a tick logs: the features of the events of the period that has ended, and what was answered on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.operating.desk import Desk
from mlwild.operating.lived import Lived
from mlwild.triangle import Triangle
from mlwild.triangle.logged import PREDICTION, VINTAGE, append, log_of, read_log


def note_features(desk: Desk, triangle: Triangle, cutoff: int) -> dict[str, Any]:
    """
    Log the features of new events as they are at a cutoff, and say how many of the last period are logged.

    New are those of the last period, and those that came late for an earlier one since this life began to log; what a
    service logged already is left as it is. What is there before is never logged afterwards: it was not computed then.

    Parameters
    ----------
    desk : Desk
    triangle : Triangle
        Of what is known at the cutoff.
    cutoff : int

    Returns
    -------
    dict
        Empty for an app without a log.
    """
    app = desk.app
    if log_of(app) is None:
        return {}
    assert app.key is not None
    survey, life = triangle.survey, desk.lived()
    began = min((one.cutoff for one in life.facts if one.kind == "observed" and "logged" in one.body), default=cutoff)
    first, last = (int(np.searchsorted(survey.time, desk.edges[place - 1])) for place in (began, cutoff))
    known, _ = desk.known(cutoff)
    keys = frames.whole(known.frame, app.key, "key")
    log = read_log(app, known)
    there = np.zeros(len(known), dtype=bool) if log is None else log.there
    new = ~there & ~keys.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    new[:first] = False
    rows = np.flatnonzero(new)
    if desk.ledger.lasting:
        at = np.full(len(rows), desk.edges[cutoff])
        answers = _answers(desk, triangle, life, rows)
        append(app, (keys.take(rows), known.time[rows], known.clock), survey.features.take(rows), at, answers)
    return {"logged": int((there | new)[last:].sum())}


def _answers(desk: Desk, triangle: Triangle, life: Lived, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return what was live when some rows came, and what it answers on them; missing before anything was live."""
    import pyarrow as pa

    survey = triangle.survey
    period = np.searchsorted(desk.edges, survey.time[rows], side="right") - 1
    named = np.full(len(rows), None, dtype=object)
    answers: NDArray[np.float64] | None = None
    for place, vintage in enumerate(life.path):
        mine = np.flatnonzero(period == life.first + place)
        if not len(mine):
            continue
        made = triangle.predictions(vintage)
        found = np.asarray(made[rows[mine] - int(survey.grid.row_start[vintage.cutoff])], dtype=np.float64)
        if answers is None:
            answers = np.full((len(rows), *found.shape[1:]), np.nan)
        named[mine], answers[mine] = str(vintage), found
    told: dict[str, Any] = {VINTAGE: pa.array(named, pa.string())}
    if answers is None:
        return told
    wide = answers if answers.ndim == 2 else answers[:, None]
    names = [PREDICTION] if answers.ndim == 1 else [f"{PREDICTION}_{code}" for code in range(wide.shape[1])]
    return told | {name: pa.array(column, mask=np.isnan(column)) for name, column in zip(names, wide.T, strict=True)}
