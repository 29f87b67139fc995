"""Scenes: what monitors may see of a vintage at a cutoff, read from a triangle without a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.digest import digest
from mlwild.losses import Loss
from mlwild.models import Forecast
from mlwild.monitors.estimates import checked_signs
from mlwild.monitors.scene import PastLosses, Slices
from mlwild.monitors.sketches import ColumnMove, Sketches, sketch
from mlwild.monitors.weights import spaced
from mlwild.records import Vintage
from mlwild.triangle.settled import settled
from mlwild.triangle.survey import Survey

if TYPE_CHECKING:
    from mlwild.triangle.triangle import Triangle

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Made = TypeVar("Made")

#: Periods before a vintage that it is compared with; rows of a period that monitors read, evenly spaced.
REFERENCE, MOST_ROWS = 4, 10_000
#: References and scenes that are kept at hand.
_AT_HAND = 16

_SKETCHES: dict[str, Sketches] = {}


def sketches_of(survey: Survey) -> Sketches:
    """Return the sketches of an app's features; made once for the same data and periods."""
    bare = all(isinstance(model, Forecast) for model in survey.app.models.values())
    table = survey.features.select([]) if bare else survey.features
    key = digest(survey.data_digest, survey.grid.edges, table.column_names, str(table.schema.types))
    if key not in _SKETCHES:
        while len(_SKETCHES) >= 2:
            _SKETCHES.pop(next(iter(_SKETCHES)))
        start = survey.grid.row_start
        keep = [low + spaced(int(high - low), MOST_ROWS) for low, high in pairwise(start)]
        _SKETCHES[key] = sketch(table, start, np.concatenate(keep))
    return _SKETCHES[key]


@dataclass(frozen=True, eq=False)
class Rows:
    """
    Rows of a scene: implements `mlwild.monitors.scene.LabelledSide`.

    Parameters
    ----------
    scenes : Scenes
    rows : ndarray of int64, shape (n,)
        In order.
    predictions : ndarray of shape (n,) or (n, n_classes)
    """

    scenes: Scenes
    rows: Ints
    predictions: Floats

    @cached_property
    def bins(self) -> NDArray[np.uint8]:
        """Bin of each feature, shape (n, n_columns)."""
        return self.scenes.sketches.of(self.rows)

    def frame(self) -> Any:
        """Return the features as the user's kind of frame."""
        survey = self.scenes.survey
        return frames.from_arrow(survey.features.take(self.rows), survey.kind, "monitors")

    def slices(self, functions: Slices) -> NDArray[np.int8]:
        """Return in which slices each row lies, shape (n, n_slices)."""
        periods = np.searchsorted(self.scenes.survey.grid.row_start, self.rows, side="right") - 1
        parts = []
        for k in np.unique(periods):
            whole = self.scenes.period_slices(int(k), functions)
            parts.append(whole[np.searchsorted(self.scenes.kept(int(k)), self.rows[periods == k])])
        return np.concatenate(parts) if parts else np.zeros((0, len(functions)), np.int8)

    @cached_property
    def labels(self) -> NDArray[Any]:
        """Numbers, or class numbers, shape (n,)."""
        return self.scenes.survey.labels[self.rows]

    @cached_property
    def losses(self) -> Floats:
        """Loss of each row, shape (n,); empty for a loss of a set."""
        loss = self.scenes.survey.loss
        return loss.rows(self.labels, self.predictions) if loss.per == "row" else np.zeros(0)

    def part(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return self if chosen.all() else Rows(self.scenes, self.rows[chosen], self.predictions[chosen])


@dataclass(frozen=True, eq=False)
class TriangleScene:
    """
    What is known of a vintage at a cutoff: implements `mlwild.monitors.scene.Scene`.

    Parameters
    ----------
    scenes : Scenes
    vintage : Vintage
    cutoff : int
        After the vintage's own.
    """

    scenes: Scenes
    vintage: Vintage
    cutoff: int
    _memo: dict[object, Any] = field(default_factory=dict, repr=False)

    @property
    def loss(self) -> Loss:
        """The app's loss."""
        return self.scenes.survey.loss

    @property
    def age(self) -> int:
        """Periods between the vintage's cutoff and the window."""
        return self.cutoff - 1 - self.vintage.cutoff

    @property
    def selective(self) -> bool:
        """Whether labels depend on the model's decisions."""
        return self.scenes.survey.app.feedback != "none"

    @cached_property
    def reference(self) -> Rows:
        """All rows of the reference."""
        return self.scenes.reference(self.vintage)

    @cached_property
    def known(self) -> Rows:
        """Rows of the reference whose labels are known."""
        survey = self.scenes.survey
        known = survey.known_at[self.reference.rows] <= survey.grid.edges[self.cutoff]
        key = (self.vintage, int(known.sum()))
        # Labels only ever arrive: their number says which they are.
        return self.scenes.at_hand(("known", *key), lambda: self.reference.part(known))

    @cached_property
    def window(self) -> Rows:
        """Rows of the last finished period."""
        return self.scenes.side([(self.cutoff - 1, self.vintage)])

    @cached_property
    def reference_loss(self) -> float:
        """Mean known loss of the reference."""
        span = self.scenes.span(self.vintage)
        past = self.live() if span.stop <= self.vintage.cutoff else self.own()
        weight = float(past.weight[span].sum())
        return float(past.total[span].sum()) / weight if weight else float("nan")

    @cached_property
    def moved(self) -> tuple[ColumnMove, ...]:
        """Counts of every feature on both sides."""
        return self.scenes.sketches.moved(self.scenes.span(self.vintage), self.cutoff - 1, self.vintage.cutoff)

    def own(self) -> PastLosses:
        """Return the losses of the vintage in the periods before the window."""
        return self.scenes.past(self.cutoff, self.vintage)

    def live(self) -> PastLosses:
        """Return the losses of the freshest vintage of each period before the window."""
        return self.scenes.past(self.cutoff, self.vintage.window)

    def rival(self, model: str | None) -> Floats | None:
        """Return another opinion on the window."""
        return self.scenes.rival(self.vintage, self.window.rows, self.cutoff - 1, model)

    def remember(self, key: object, make: Callable[[], Made], *, of_reference: bool = True) -> Made:
        """Return what was made before under a key, else make it."""
        if of_reference:
            made: Made = self.scenes.at_hand((key, self.vintage, len(self.known.rows)), make)
            return made
        if key not in self._memo:
            self._memo[key] = make()
        found: Made = self._memo[key]
        return found


@dataclass(frozen=True, eq=False)
class Scenes:
    """
    All scenes of one triangle.

    Parameters
    ----------
    triangle : Triangle
    """

    triangle: Triangle
    _memo: dict[object, Any] = field(default_factory=dict, repr=False)
    _past: dict[object, PastLosses] = field(default_factory=dict, repr=False)
    _slices: dict[object, NDArray[np.int8]] = field(default_factory=dict, repr=False)
    _siblings: dict[str, Triangle] = field(default_factory=dict, repr=False)

    @property
    def survey(self) -> Survey:
        """The rows."""
        return self.triangle.survey

    @cached_property
    def sketches(self) -> Sketches:
        """The sketches of all features."""
        return sketches_of(self.survey)

    def scene(self, vintage: Vintage, cutoff: int) -> TriangleScene | None:
        """Return a scene; None where no period of the vintage is over, or it has none to be compared with."""
        if cutoff <= vintage.cutoff or not range(*self.span(vintage).indices(cutoff - 1)):
            return None
        return self.at_hand(("scene", vintage, cutoff), lambda: TriangleScene(self, vintage, cutoff))

    def span(self, vintage: Vintage) -> slice:
        """Return the periods of a vintage's reference."""
        first = next((k for k in range(vintage.cutoff) if Vintage(k, vintage.window) in self.triangle.scores), None)
        if first is None:
            return slice(vintage.cutoff, vintage.cutoff + 1)
        return slice(max(first, vintage.cutoff - REFERENCE), vintage.cutoff)

    def at_hand(self, key: object, make: Callable[[], Made]) -> Made:
        """Return what was made before under a key, else make it; the oldest are let go."""
        if key not in self._memo:
            while len(self._memo) >= 8 * _AT_HAND:
                self._memo.pop(next(iter(self._memo)))
            self._memo[key] = make()
        found: Made = self._memo[key]
        return found

    def kept(self, period: int) -> Ints:
        """Return the rows of a period that monitors read."""
        rows = self.sketches.rows
        low, high = np.searchsorted(rows, self.survey.grid.row_start[period : period + 2])
        return rows[low:high]

    def side(self, parts: list[tuple[int, Vintage]]) -> Rows:
        """Return rows of some periods, each with a vintage's predictions."""
        found, predicted = [], []
        for period, vintage in parts:
            rows = self.kept(period)
            rows = rows[~self.triangle.unscored[rows]]
            first = int(self.survey.grid.row_start[vintage.cutoff])
            found.append(rows)
            predicted.append(self.triangle.predictions(vintage)[rows - first].astype(np.float64))
        return Rows(self, np.concatenate(found), np.concatenate(predicted))

    def reference(self, vintage: Vintage) -> Rows:
        """Return the rows of a vintage's reference, each predicted by the freshest vintage of its time."""
        span = self.span(vintage)
        fresh = span.stop <= vintage.cutoff
        parts = [
            (k, self.triangle.freshest(vintage.window, k) or vintage if fresh else vintage)
            for k in range(span.start, span.stop)
        ]
        return self.at_hand(("reference", vintage), lambda: self.side(parts))

    def period_slices(self, period: int, functions: Slices) -> NDArray[np.int8]:
        """Return the slices of the kept rows of a period."""
        key = (period, tuple(functions.items()))
        if key not in self._slices:
            rows = self.kept(period)
            made = [
                checked_signs(function(Rows(self, rows, np.zeros(0)).frame()), len(rows), name)
                for name, function in functions.items()
            ]
            self._slices[key] = np.stack(made, axis=1)
        return self._slices[key]

    # -- losses ------------------------------------------------------------------------------------

    def past(self, cutoff: int, of: Vintage | str) -> PastLosses:
        """
        Return the known losses of a vintage, or (a training window) of the freshest vintage of each period.

        The last finished period is left out: monitors speak before its labels, even where these are there.
        """
        key = (cutoff, of)
        if key not in self._past:
            if isinstance(of, Vintage):
                total, weight = self.triangle.totals(of, cutoff)
            else:
                total, weight = self.triangle.fresh_totals(of, cutoff, 0, 1)
            if cutoff == self.survey.grid.periods:
                self._cut_off(of, total, weight)
            last = cutoff - 1
            self._past[key] = PastLosses(total[:last], weight[:last], self._settled(cutoff)[:last])
        return self._past[key]

    def _cut_off(self, of: Vintage | str, total: Floats, weight: Floats) -> None:
        """Take out what arrived after the end of the last period: it is known to no cutoff."""
        survey, grid = self.survey, self.survey.grid
        late = grid.cell_rows[survey.known_at[grid.cell_rows] > grid.edges[-1]]
        periods = np.searchsorted(grid.edges, survey.time[late], side="right") - 1
        for k in np.unique(periods):
            vintage = of if isinstance(of, Vintage) else self.triangle.freshest(of, int(k))
            if vintage is None or vintage.cutoff > k:
                continue
            total[k], weight[k] = self._known_total(vintage, int(k))

    def _known_total(self, vintage: Vintage, period: int) -> tuple[float, float]:
        """Return total loss and weight of a period at the history's end, added up in the order of its cells."""
        survey, grid = self.survey, self.survey.grid
        low, high = np.searchsorted(grid.cell_period, [period, period + 1])
        ends = np.append(grid.cell_start[1:], len(grid.cell_rows))
        parts = [grid.cell_rows[grid.cell_start[cell] : ends[cell]] for cell in range(low, high)]
        parts = [rows[survey.known_at[rows] <= grid.edges[-1]] for rows in parts]
        first = int(grid.row_start[vintage.cutoff])
        if survey.loss.per == "set":
            rows = np.concatenate(parts)
            rows = rows[~self.triangle.unscored[rows]]
            value = survey.loss.of_set(survey.labels[rows], self.triangle.predictions(vintage)[rows - first])
            return (value * len(rows), float(len(rows))) if np.isfinite(value) else (0.0, 0.0)
        total = weight = 0.0
        for rows in parts:
            if len(rows):
                counts = ~self.triangle.unscored[rows]
                predicted = self.triangle.predictions(vintage)[rows - first]
                predicted = np.where(counts if predicted.ndim == 1 else counts[:, None], predicted, np.float32(0.5))
                weights = grid.weight[rows] * counts
                lost = survey.loss.rows(survey.labels[rows], predicted) * weights
                total = float(np.add.reduceat(lost, [0])[0]) + total
                weight = float(np.add.reduceat(weights, [0])[0]) + weight
        return total, weight

    def _settled(self, cutoff: int) -> NDArray[np.bool_]:
        return self.at_hand(("settled", cutoff), lambda: settled(self.survey, cutoff))

    # -- second opinions ------------------------------------------------------------------------------

    def rival(self, vintage: Vintage, rows: Ints, period: int, model: str | None) -> Floats | None:
        """Return predictions of rows of a period by another vintage or model."""
        if model is None:
            others = (Vintage(k, vintage.window) for k in range(period, -1, -1))
            other = next((one for one in others if one != vintage and one in self.triangle.scores), None)
            return None if other is None else self._of(self.triangle, other, rows)
        sibling = self._sibling(model)
        if model in self.survey.forecasts:
            return self.survey.forecasts[model][rows].astype(np.float64)
        window = str(self.survey.app.windows[0])
        made = (Vintage(k, window) for k in range(vintage.cutoff, -1, -1))
        fitted = next((one for one in made if sibling.kept(one)), None)
        return None if fitted is None else self._of(sibling, fitted, rows)

    def _of(self, triangle: Triangle, vintage: Vintage, rows: Ints) -> Floats:
        first = int(self.survey.grid.row_start[vintage.cutoff])
        return triangle.predictions(vintage)[rows - first].astype(np.float64)

    def _sibling(self, model: str) -> Triangle:
        if model not in self._siblings:
            self._siblings[model] = self.triangle.sibling(model)
        return self._siblings[model]
