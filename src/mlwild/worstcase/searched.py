"""Slices and subpopulations that nobody declared: found on one part of the past, judged on another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.slicing import Binned, binned
from mlwild.stats.slices import FoundSlice, FoundSlices, found_slices, halves
from mlwild.worstcase.certificates import Series, rows_of
from mlwild.worstcase.live import Live

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

#: Newest rows that are searched; rows that expected losses are learned from; share of a subpopulation.
SEARCHED, LEARNED, SHARE = 60_000, 20_000, 0.1
#: Fewest rows of a slice in a period that its mean loss is taken of.
FEWEST = 10


@dataclass(frozen=True, eq=False)
class Attributes:
    """
    What slices and subpopulations are made of: the features of the live rows.

    Parameters
    ----------
    live : Live
    """

    live: Live

    @cached_property
    def table(self) -> Any:
        """Features of all live rows."""
        return self.live.replay.survey.features.take(self.live.rows)

    @cached_property
    def matrix(self) -> Floats:
        """The same as numbers: words as codes, gaps as NaN."""
        return frames.matrix(self.table)

    def newest(self, chosen: Bools, most: int) -> Ints:
        """Return the newest of some rows, as positions."""
        places = np.flatnonzero(chosen)
        return places[-most:]


@dataclass(frozen=True, eq=False)
class WorstSlice:
    """
    The worst slice at a cutoff.

    Parameters
    ----------
    found : FoundSlices
    first : FoundSlice
        The worst of them.
    condition : str
    inside : ndarray of bool, shape (n_rows,)
        In which of all live rows it holds.
    confirming : ndarray of bool, shape (n_rows,)
        Rows that it was not found on.
    """

    found: FoundSlices
    first: FoundSlice
    condition: str
    inside: Bools
    confirming: Bools


def worst_slice(attributes: Attributes, cutoff: int, *, level: float = 0.95) -> WorstSlice | None:
    """
    Return the worst slice of the rows known at a cutoff: found on every second row, confirmed on the others.

    Returns
    -------
    WorstSlice or None
        None where the search proposes none.
    """
    live = attributes.live
    places = attributes.newest(live.known(cutoff), SEARCHED)
    if len(places) < 200:
        return None
    cut: Binned = binned(attributes.table.take(places))
    half = halves(len(places), period=live.period[places])
    bounds = live.replay.survey.loss.bounds
    most = bounds[1] if bounds[0] >= 0 and np.isfinite(bounds[1]) else None
    found = found_slices(cut.codes, live.losses[places], half=half, level=level, bound=most)
    if not found.slices:
        return None
    first = found.slices[0]
    inside = cut.holds(first.conditions, attributes.table)
    used = np.zeros(len(live.rows), dtype=bool)
    used[places[half]] = True
    return WorstSlice(found, first, cut.condition(first.conditions), inside, ~used)


def slice_series(attributes: Attributes, cutoff: int) -> Series | None:
    """Return the mean loss by period of the worst slice at a cutoff, on rows that it was not found on."""
    made = worst_slice(attributes, cutoff)
    if made is None:
        return None
    return rows_of(
        attributes.live,
        cutoff,
        made.inside,
        made.confirming,
        FEWEST,
        kind="slice",
        what=made.condition,
        searched=made.found.searched,
        share=float(made.inside.mean()),
    )


def fit_mean(attributes: Floats, losses: Floats) -> Any:
    """
    Return a function from attributes to expected losses, learned by boosted trees.

    Parameters
    ----------
    attributes : ndarray of shape (n, n_attributes)
        NaN where missing.
    losses : ndarray of shape (n,)
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    leaf = max(20, len(losses) // 60)
    with threadpool_limits(limits=1):
        model = HistGradientBoostingRegressor(
            max_iter=40, max_leaf_nodes=15, min_samples_leaf=leaf, early_stopping=False, random_state=0
        ).fit(frames.learnable(attributes), losses)

    def expected(rows: Floats) -> Floats:
        with threadpool_limits(limits=1):
            return np.asarray(model.predict(rows), dtype=np.float64)

    return expected


def subpopulation_series(attributes: Attributes, cutoff: int) -> Series | None:
    """
    Return the mean loss by period of the rows whose expected loss is in the greatest tenth.

    Expected losses of the past are learned from the other half of the periods; of what comes, from all known rows.
    """
    live = attributes.live
    known = live.known(cutoff)
    odd = live.period % 2 == 1
    expected = np.full(len(live.rows), np.nan)
    for mine in (odd, ~odd):
        learned = attributes.newest(known & ~mine, LEARNED)
        if len(learned) < 200:
            return None
        expected[mine & known] = fit_mean(attributes.matrix[learned], live.losses[learned])(
            attributes.matrix[mine & known]
        )
    whole = attributes.newest(known, LEARNED)
    later = live.period >= cutoff
    if later.any():
        expected[later] = fit_mean(attributes.matrix[whole], live.losses[whole])(attributes.matrix[later])
    inside = np.zeros(len(live.rows), dtype=bool)
    for rows, seen in ((odd & known, odd & known), (~odd & known, ~odd & known), (later, known)):
        if rows.any():
            inside[rows] = expected[rows] >= np.quantile(expected[seen], 1 - SHARE)
    return rows_of(
        live,
        cutoff,
        inside,
        np.ones(len(live.rows), dtype=bool),
        FEWEST,
        kind="subpopulation",
        what=f"the {SHARE:.0%} of rows that are expected to lose most",
        share=SHARE,
    )
