"""From what the user says of a slice to its rows, and to what models can see of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.errors import AppError, DataError
from mlwild.events import Events
from mlwild.remedies import Where
from mlwild.remedies.rows import names
from mlwild.remedies.slices import Slice, checked_mask
from mlwild.triangle import Survey
from mlwild.triangle.patches import Marker
from mlwild.wording import count

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Meant:
    """
    A slice, as it was meant and as models can see it.

    Parameters
    ----------
    said : str
        In words.
    rows : ndarray of bool, shape (n_rows,)
    slice : callable or str
        What remedies are given: a function of the features, or the column that is put beside them.
    marker : Marker or None
        That column.
    """

    said: str
    rows: Bools
    slice: Slice
    marker: Marker | None


def meant(slice_: str | Callable[[Any], Any], survey: Survey, events: Events) -> Meant:
    """
    Return the rows of a slice.

    The columns of a condition are those of the data, or else of the features. Where the features do not
    tell the slice, it is put beside them as a column that the base model does not get to see.

    Parameters
    ----------
    slice_ : str or callable
        A condition, or a function of the features.
    survey : Survey
    events : Events

    Raises
    ------
    AppError
        If a condition cannot be read, names no column, or reads what is known only with the label.
    DataError
        If the slice holds no row or all of them.
    """
    features = frames.from_arrow(survey.features, survey.kind, "slice")
    condition = Where.parse(slice_) if isinstance(slice_, str) else slice_
    if not isinstance(condition, Where):
        rows = checked_mask(condition(features), len(survey.time))
        made = Meant(getattr(condition, "__name__", repr(condition)), rows, condition, None)
    else:
        made = _condition(condition, survey, events, features)
    if not made.rows.any() or made.rows.all():
        held = "none" if not made.rows.any() else "all"
        raise DataError(f"slice: {made.said!r} holds {held} of {count(len(made.rows))} rows; name a part of them.")
    return made


def _condition(condition: Where, survey: Survey, events: Events, features: Any) -> Meant:
    _refuse_later(condition, survey.app)
    data = events.frame.to_native()
    told = set(names(features))
    rows = np.ones(len(survey.time), dtype=bool)
    for term in condition.terms:
        if term.column not in events.frame.columns and term.column not in told:
            known = ", ".join([*events.frame.columns, *sorted(told.difference(events.frame.columns))])
            raise AppError(f"slice: there is no column {term.column!r}; there is {known}.")
        beside = term.column not in events.frame.columns and term.column in told
        rows &= term.mask(features if beside else data)
    if told.issuperset(condition.columns) and _same(condition, features, rows):
        return Meant(str(condition), rows, condition, None)
    name = "in_slice"
    while name in told:
        name += "_"
    if survey.kind == "numpy":  # columns of an array go by their place
        name = f"x{len(told)}"
    return Meant(str(condition), rows, name, Marker(name, rows))


def _same(condition: Where, features: Any, rows: Bools) -> bool:
    """Say whether the features tell the slice: a feature may go by a column's name and hold something else."""
    try:
        return bool((condition(features) == rows).all())
    except DataError:
        return False


def _refuse_later(condition: Where, app: App) -> None:
    later = {app.label, app.known_at, *app.outcomes}
    for column in condition.columns:
        if column in later:
            raise AppError(
                f"slice: column {column!r} is known only with the label, so that no model could act on it. Name "
                "columns that are known when the prediction is asked for."
            )
