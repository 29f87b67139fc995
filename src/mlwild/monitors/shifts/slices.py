"""Slices whose share of the rows changed: found on one half of the rows, confirmed on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.bins import NumberBins, WordBins, number_bins
from mlwild.monitors.shifts.read import Pair, Tables
from mlwild.stats.distances import benjamini_hochberg
from mlwild.stats.proportions import proportion_difference

Ints = NDArray[np.int64]

#: Bins of equal reference mass that a column of numbers is cut into, and columns that are looked at.
BINS, MOST_COLUMNS = 8, 20


@dataclass(frozen=True)
class Slice:
    """
    Rows under a condition on one column, of which there are more or fewer than before.

    Parameters
    ----------
    column, condition : str
    share_reference, share_window : float
        On the half that confirms.
    low, high : float
        Interval of the change of share.
    p : float
        Adjusted across the slices that were found.
    said : str
    """

    column: str
    condition: str
    share_reference: float
    share_window: float
    low: float
    high: float
    p: float
    said: str


def moved_slices(tables: Tables, names: Sequence[str], *, level: float, seed: int) -> tuple[Slice, ...]:
    """
    Return the slices of moved columns whose share of the rows changed most, one a column.

    Parameters
    ----------
    tables : Tables
    names : sequence of str
        Columns that moved, most first.
    level : float
        Share of false discoveries among the slices returned, at most.
    seed : int
        Of the halves.
    """
    rng = np.random.default_rng(seed)
    halves = [rng.random(table.num_rows) < 0.5 for table in (tables.reference, tables.window)]
    made = []
    for name in names[:MOST_COLUMNS]:
        pair = tables.pair(name)
        old, new, conditions = coded(pair, halves[0])
        searched = [
            np.bincount(codes[half], minlength=len(conditions)) for codes, half in ((old, halves[0]), (new, halves[1]))
        ]
        sizes = [max(int(counts.sum()), 1) for counts in searched]
        gaps = searched[1] / sizes[1] - searched[0] / sizes[0]
        place = int(np.abs(gaps).argmax())
        confirmed = [int((codes[~half] == place).sum()) for codes, half in ((old, halves[0]), (new, halves[1]))]
        rest = [int((~half).sum()) for half in halves]
        if min(rest) < 2:
            continue
        test = proportion_difference(confirmed[1], rest[1], confirmed[0], rest[0])
        shares = confirmed[0] / rest[0], confirmed[1] / rest[1]
        said = f"Rows with {conditions[place]}: {shares[0]:.0%} then, {shares[1]:.0%} now."
        made.append(
            Slice(name, conditions[place], *shares, test.difference.low, test.difference.high, test.p_value, said)
        )
    adjusted = benjamini_hochberg(np.array([one.p for one in made])) if made else np.zeros(0)
    kept = [
        Slice(one.column, one.condition, one.share_reference, one.share_window, one.low, one.high, float(p), one.said)
        for one, p in zip(made, adjusted, strict=True)
        if p < level
    ]
    return tuple(sorted(kept, key=lambda one: -abs(one.share_window - one.share_reference)))


def coded(pair: Pair, half: NDArray[np.bool_]) -> tuple[Ints, Ints, list[str]]:
    """
    Return the cell of each row of both sides, and what each cell means.

    Parameters
    ----------
    pair : Pair
    half : ndarray of bool
        Rows of the reference whose quantiles cut a column of numbers into cells.
    """
    bins: NumberBins | WordBins
    if pair.categories is not None:
        bins = WordBins(pair.name, pair.categories)
        made = [bins.codes(codes, pair.categories) for codes in (pair.reference, pair.window)]
    else:
        bins = number_bins(pair.name, pair.reference[half], bins=BINS)
        made = [bins.codes(values) for values in (pair.reference, pair.window)]
    return made[0], made[1], [bins.condition(code) for code in range(bins.missing + 1)]
