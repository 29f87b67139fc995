"""A column given in another unit, by a conversion that the app declares, changes no answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from mlwild import frames
from mlwild.errors import AppError
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import differing, greatest, published
from mlwild.gate.trial import Trial
from mlwild.wording import count, number


@dataclass(frozen=True)
class UnitChange:
    """
    Rows whose column comes in another unit get the answers that they had.

    The column of the raw rows is multiplied by `factor`. What the app declares turns it back: a function `back`, such
    as the one that reads the other supplier's files, or columns that say the unit (`marks`), which the app's own
    features have to heed. Features and predictions are then computed anew.

    Parameters
    ----------
    column : str
        Column of the app's rows.
    factor : float
        How many of the other unit make one of the usual.
    back : callable, optional
        ``back(rows)``: rows with the column in the other unit in, rows as the app expects them out.
    marks : mapping of str to object
        Columns that say which unit a row is in, and what they say of the other one.
    rows : int
        Rows that are changed, evenly spaced.
    relative, most : float
        A prediction differs if it is off by more than this share; greatest share of rows that may: a conversion there
        and back may move a number across a threshold by its last digit.
    owner : str
        Who is to be asked.

    Raises
    ------
    AppError
        If the app declares no conversion, or the factor is no number other than 0 and 1.

    References
    ----------
    .. [1] Segura, S., Fraser, G., Sanchez, A. B., & Ruiz-Cortes, A. (2016). A survey on metamorphic testing. IEEE
       TSE, 42(9), 805-824.

    Examples
    --------
    >>> UnitChange("distance", 1.609344, marks={"unit": "km"}).name
    'distance in another unit'
    """

    column: str
    factor: float
    back: Callable[[Any], Any] | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 500
    relative: float = 1e-6
    most: float = 0.002
    owner: str = ""
    family: str = "code"

    def __post_init__(self) -> None:
        """Check that there is a conversion."""
        if self.back is None and not self.marks:
            raise AppError(
                f"tests: UnitChange({self.column!r}) has neither `back` nor `marks`; without a conversion that the app "
                "declares another unit is another value."
            )
        if not (np.isfinite(self.factor) and self.factor not in (0.0, 1.0)):
            raise AppError(f"tests: UnitChange({self.column!r}): {self.factor} is no factor between two units.")

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.column} in another unit"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate and its features."""
        rows = trial.events.evenly(self.rows)
        frames.need(rows.raw, [self.column, *self.marks], "tests")
        other = rows.raw.with_columns(
            (nw.col(self.column) * self.factor).alias(self.column),
            *(nw.lit(value).cast(rows.raw.schema[name]).alias(name) for name, value in self.marks.items()),
        )
        if self.back is not None:
            other = frames.eager(self.back(other.to_native()), "tests")
        usual, changed = (trial.changed(rows, raw) for raw in (rows.raw, other))
        first, second = (trial.model.predict(held.features) for held in (usual, changed))
        unlike = differing(first, second, self.relative)
        share = float(unlike.mean())
        many = f"{count(int(unlike.sum()))} of {count(len(rows))} rows get another answer"
        said = f"{many} with {self.column!r} times {number(self.factor)}"
        facts: dict[str, Any] = {"n": len(rows), "estimate": share, "limit": self.most}
        if share <= self.most:
            return Outcome("pass", said, **facts)
        picked = tuple(int(row) for row in rows.rows[unlike][:5])
        return Outcome("fail", f"{said}, by up to {number(greatest(first, second), 3)}", rows=picked, **facts)
