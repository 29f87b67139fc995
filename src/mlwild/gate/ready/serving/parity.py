"""The service answers as the rehearsal did: same features, same predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.fitted import Fitted, decisions
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import RELATIVE, differing, greatest, published
from mlwild.gate.ready.serving.causes import Around, alone, causes_of
from mlwild.gate.ready.serving.earlier import earlier_values
from mlwild.gate.ready.serving.pairs import Pair
from mlwild.gate.trial import Served, Trial
from mlwild.wording import count, number

#: Columns that the sentence names.
NAMED = 6


@dataclass(frozen=True)
class Skew:
    """
    One column that is not the same where it is served.

    Parameters
    ----------
    column : str
    share : float
        Share of the rows that differ.
    why : str
        The cause, in words.
    rise : float
        By how much the loss rises if this column alone is as served; NaN where the model cannot predict then.
    """

    column: str
    share: float
    why: str
    rise: float


@dataclass(frozen=True)
class ServingParity:
    """
    Rows of the history, sent through the service one request at a time, get the features and the answers that they had.

    The reference is the rehearsal. Where the app declares how it serves (`mlwild.Serving`), features and predictions
    have to be the same bit for bit, or the predictions within the app's tolerance. Where it does not, its
    own features are computed with the future cut off and the model is asked row by row, to 1e-6 of the prediction. Red
    names the columns, the worst first by what each alone does to the loss, and the cause of each by comparing
    pairs: missing, missing as 0, a unit, a sign, another column, other codes, stale, rounded.

    Parameters
    ----------
    rows : int
        Requests, evenly spaced over the rows that the candidate is tried on.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Breck, E., Cai, S., Nielsen, E., Salib, M., & Sculley, D. (2017). The ML test score. IEEE Big Data,
       1123-1132: Infra 3 and Monitor 3, training and serving features compute the same values.
    .. [2] Polyzotis, N., Roy, S., Whang, S. E., & Zinkevich, M. (2019). Data validation for machine learning. MLSys.

    Examples
    --------
    >>> ServingParity().name, ServingParity().rows
    ('serving parity', 200)
    """

    rows: int = 200
    owner: str = ""
    name: str = "serving parity"
    family: str = "operation"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the served path."""
        served = trial.served(self.rows)
        rehearsed = trial.model.predictions(served.rows)
        tolerance = float(trial.app.serving.tolerance) if served.declared else None
        unlike = _unlike(rehearsed, served.predictions, tolerance)
        pairs = [pair for pair in _pairs(served) if pair.differs.any()]
        if not unlike.any() and (not pairs or tolerance):
            return _same(served, pairs, tolerance)
        skews = sorted(
            (_skew(pair, trial, served) for pair in pairs),
            key=lambda one: (-np.nan_to_num(one.rise, nan=np.inf), -one.share),
        )
        said = _said(trial, served, rehearsed, skews, unlike)
        parts = tuple({"column": o.column, "share": o.share, "why": o.why, "rise": o.rise} for o in skews)
        rows = tuple(int(row) for row in served.rows.rows[unlike][:5])
        return Outcome(
            "fail", said, n=len(served.rows), estimate=float(unlike.mean()), limit=0.0, rows=rows, parts=parts
        )


def _unlike(rehearsed: NDArray[np.float64], served: NDArray[np.float64], tolerance: float | None) -> NDArray[np.bool_]:
    """Return which predictions differ; both are taken in the precision that predictions are kept in."""
    ours, theirs = (np.asarray(one, dtype=np.float32).astype(np.float64) for one in (rehearsed, served))
    if ours.shape != theirs.shape:
        return np.ones(len(ours), dtype=bool)
    if tolerance is None:
        return differing(ours, theirs, RELATIVE)
    unlike = ~(np.abs(ours - theirs) <= tolerance)
    return np.asarray(unlike.any(axis=1) if unlike.ndim == 2 else unlike)


def _same(served: Served, pairs: list[Pair], tolerance: float | None) -> Outcome:
    how = "to the last bit" if tolerance == 0 else f"to {number(RELATIVE if tolerance is None else tolerance, 2)}"
    names = (
        f"; features that differ without moving an answer: {', '.join(pair.name for pair in pairs[:NAMED])}"
        if pairs
        else ""
    )
    said = f"{count(len(served.rows))} requests got the answers of the rehearsal {how}{names}"
    return Outcome("pass", said, n=len(served.rows), estimate=0.0, limit=0.0)


def _pairs(served: Served) -> list[Pair]:
    """Return every column of the rehearsal beside the served one; one that is not served is missing throughout."""
    import pyarrow as pa

    table, made = served.rows.table, []
    for name in table.column_names:
        there = name in served.table.column_names
        theirs = served.table.column(name) if there else pa.chunked_array([pa.nulls(table.num_rows)])
        made.append(Pair(name, table.column(name), theirs))
    return made


def _skew(pair: Pair, trial: Trial, served: Served) -> Skew:
    around = Around(
        {name: served.rows.table.column(name) for name in served.rows.table.column_names},
        lambda one: earlier_values(one, trial, served.rows),
    )
    absent = pair.name not in served.table.column_names
    why = "not served at all" if absent else ", ".join(causes_of(pair, around))
    return Skew(pair.name, float(pair.differs.mean()), why, _rise(pair, trial.model, served.rows))


def _rise(pair: Pair, model: Fitted, rows: Held) -> float:
    """Return by how much the loss of the rows rises if one column is as served."""
    place = rows.table.column_names.index(pair.name)
    try:
        changed = rows.with_features(_framed(rows.table.set_column(place, pair.name, pair.served), rows))
        return model.mean_loss(changed) - model.mean_loss(rows)
    except Exception:  # noqa: BLE001  the user's model may raise anything on a column of another type: then it is not known
        return float("nan")


def _framed(table: Any, rows: Held) -> Any:
    from mlwild import frames

    return frames.from_arrow(table, rows.kind, "serving")


def _said(
    trial: Trial, served: Served, rehearsed: NDArray[np.float64], skews: list[Skew], unlike: NDArray[np.bool_]
) -> str:
    n = len(served.rows)
    effect = f"{count(int(unlike.sum()))} of {count(n)} requests get another answer than in the rehearsal"
    effect += _effect(trial.model, served, rehearsed)
    if served.why:
        effect = f"the model cannot answer what is served: {served.why}"
    if not skews:
        return f"{effect}, on the same features: {_of_prediction(served, rehearsed)}"
    named = "; ".join(f"{one.column!r}: {one.why}" for one in skews[:NAMED])
    more = f"; and {len(skews) - NAMED} more" if len(skews) > NAMED else ""
    total = len(served.rows.table.column_names)
    return f"{effect}; {len(skews)} of {total} columns differ: {named}{more}"


def _effect(model: Fitted, served: Served, rehearsed: NDArray[np.float64]) -> str:
    """Say what the loss and the accuracy are on either path."""
    labels, theirs = served.rows.labels, np.asarray(served.predictions, dtype=np.float64)
    if theirs.shape != rehearsed.shape or not np.isfinite(theirs).all():
        return ""
    loss = model.loss
    both = [
        float(loss.rows(labels, one).mean()) if loss.per == "row" else loss.of_set(labels, one)
        for one in (rehearsed, theirs)
    ]
    said = f": they lose {number(both[1], 3)} rather than {number(both[0], 3)}"
    if model.classes is not None:
        right = [float((decisions(one, model) == labels).mean()) for one in (rehearsed, theirs)]
        said += f", and {right[1]:.0%} are right rather than {right[0]:.0%}"
    return said


def _of_prediction(served: Served, rehearsed: NDArray[np.float64]) -> str:
    """Say how predictions differ where the features do not."""
    import pyarrow as pa

    theirs = np.asarray(served.predictions, dtype=np.float64)
    if theirs.shape != rehearsed.shape:
        return f"shape {theirs.shape} for {rehearsed.shape}"
    gap = greatest(rehearsed, theirs)
    if not differing(rehearsed, theirs, 1e-5).any():
        return (
            f"off by at most {number(gap, 2)}, the last digits of a sum over one row and over many; if that is no "
            f"matter: Serving(tolerance={gap * 2:.0e})"
        )
    if rehearsed.ndim == 2:
        return f"off by up to {number(gap, 3)}"
    pair = Pair("the answer", pa.chunked_array([rehearsed]), pa.chunked_array([theirs]))
    return f"each is {', '.join(causes_of(pair, alone()))}"
