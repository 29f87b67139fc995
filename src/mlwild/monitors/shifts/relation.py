"""Whether rows with the same features have the same labels (or losses) in both tables, and where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.frames import learnable
from mlwild.monitors.shifts.read import Tables
from mlwild.monitors.shifts.slices import MOST_COLUMNS, coded
from mlwild.stats.distances import benjamini_hochberg
from mlwild.stats.reweighting import clipped, effective_sample_size
from mlwild.wording import between, number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Bins of the score in which residuals are compared at most, and rows of a side for each of them.
BINS, ROWS_A_BIN = 10, 100
#: Fewest rows of a side, as many as their weights are worth, in a bin and in a slice.
FEWEST = 20
#: Cells of a column that are looked at, those with most rows of the window.
MOST_CELLS = 50


@dataclass(frozen=True)
class LabelSlice:
    """
    Rows under a condition on one column whose labels moved, against like rows of the reference.

    Parameters
    ----------
    column, condition : str
    change, low, high : float
        By how much the mean label (or loss) lies above that of like rows of the reference, with its interval
        of 95 %; in its own unit, of classes the share of the reference's commonest one.
    p : float
        Adjusted across the slices that were found.
    said : str
    """

    column: str
    condition: str
    change: float
    low: float
    high: float
    p: float
    said: str


@dataclass(frozen=True, eq=False)
class Residuals:
    """
    What labels are above a score made of features alone, on rows that the score was not learned from.

    Parameters
    ----------
    reference, window : ndarray of shape (n,), (m,)
    weights : ndarray of shape (n,)
        How much each row of the reference resembles the window.
    cells : (ndarray, ndarray)
        Bin of the score of each row.
    held : ndarray of bool
        Rows of the reference that the residuals are of.
    """

    reference: Floats
    window: Floats
    weights: Floats
    cells: tuple[NDArray[np.int64], NDArray[np.int64]]
    held: Bools


def residuals(X: Sequence[Floats], y: Sequence[Floats], given: Sequence[Floats] | None, seed: int) -> Residuals:  # noqa: N803
    """
    Return residuals of both sides, from the scores given or from a model of one half of the reference.

    Parameters
    ----------
    X : (ndarray, ndarray) of shape (n, n_columns), (m, n_columns)
    y : (ndarray, ndarray)
    given : (ndarray, ndarray), optional
        Scores.
    seed : int
        Of the halves.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    learn = rng.random(len(y[0])) < 0.5
    held = ~learn
    with threadpool_limits(limits=1):
        if given is None:
            model = HistGradientBoostingRegressor(max_iter=80, early_stopping=False, random_state=seed)
            model.fit(learnable(X[0][learn]), y[0][learn])
            scores = [model.predict(X[0][held]), model.predict(X[1])]
        else:
            scores = [given[0][held], given[1]]
        half = rng.random(len(y[1])) < 0.5
        # Weights are learned on other rows of the reference than those they weigh.
        sides = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, early_stopping=False, random_state=seed)
        both = np.concatenate([X[0][learn], X[1][half]])
        sides.fit(learnable(both), np.repeat([0, 1], [int(learn.sum()), int(half.sum())]))
        chance = sides.predict_proba(X[0][held])[:, 1].clip(1e-3, 1 - 1e-3)
    bins = int(np.clip(min(held.sum(), len(y[1])) // ROWS_A_BIN, 2, BINS))
    cuts = np.unique(np.quantile(scores[1], np.linspace(0, 1, bins + 1)[1:-1]))
    return Residuals(
        y[0][held] - scores[0],
        y[1] - scores[1],
        clipped(chance / (1 - chance), quantile=0.98),
        (np.searchsorted(cuts, scores[0]), np.searchsorted(cuts, scores[1])),
        held,
    )


def relation_moved(found: Residuals) -> float:
    """Return the p-value of "rows with the same features have the same labels on both sides", bin by bin."""
    from scipy.special import chdtrc

    parts = []
    for cell in range(int(max(side.max() for side in found.cells)) + 1):
        gap = _gap(found, *(side == cell for side in found.cells))
        if gap is not None:
            parts.append(gap.normal**2)
    return float(chdtrc(len(parts), sum(parts))) if parts else 1.0


@dataclass(frozen=True)
class _Gap:
    """Mean residual of the window less that of like rows of the reference; its error, and as a standard normal."""

    value: float
    error: float
    normal: float


def _gap(found: Residuals, old: Bools, new: Bools) -> _Gap | None:
    """Return the gap in some rows, by Welch's test on weighted rows; None where there are too few."""
    from scipy.special import ndtri, stdtr

    a, b, weights = found.reference[old], found.window[new], found.weights[old]
    rows = effective_sample_size(weights)
    if min(rows, len(b)) < FEWEST:
        return None
    share = weights / weights.sum()
    mean = float(share @ a)
    # Each row's pull on its own mean is undone, as in a jackknife.
    parts = float((((share * (a - mean)) / (1 - share)) ** 2).sum()), float(b.var(ddof=1)) / len(b)
    variance = sum(parts)
    if not variance > 0:
        return None
    freedom = variance**2 / (parts[0] ** 2 / (rows - 1) + parts[1] ** 2 / (len(b) - 1))
    value, error = float(b.mean()) - mean, float(np.sqrt(variance))
    normal = float(ndtri(max(float(stdtr(freedom, -abs(value) / error)), 1e-300)))
    return _Gap(value, error, normal)


def label_slices(
    tables: Tables, found: Residuals, *, what: str = "labels", level: float, seed: int
) -> tuple[LabelSlice, ...]:
    """
    Return the slices whose labels moved most, one a column: found on one half of the rows, confirmed on the other.

    Parameters
    ----------
    tables : Tables
        The rows that the residuals are of, held-out or not.
    found : Residuals
    what : str
        What moved, for the sentences.
    level : float
        Share of false discoveries among the slices returned, at most.
    seed : int
    """
    from scipy.special import ndtr

    rng = np.random.default_rng(seed)
    halves = [rng.random(len(side)) < 0.5 for side in (found.reference, found.window)]
    made = []
    for name in tables.names[:MOST_COLUMNS]:
        old, new, conditions = coded(tables.pair(name), np.ones(tables.reference.num_rows, bool))
        old = old[found.held]
        place = _largest(found, old, new, halves, len(conditions))
        if place is None:
            continue
        gap = _gap(found, (old == place) & ~halves[0], (new == place) & ~halves[1])
        if gap is None:
            continue
        # The interval is as wide as the p-value says.
        half = 1.96 * abs(gap.value / gap.normal) if gap.normal else 1.96 * gap.error
        low, high = gap.value - half, gap.value + half
        way = f"{what} {'rose' if gap.value > 0 else 'fell'} by {number(abs(gap.value), 2)}"
        said = f"Rows with {conditions[place]}: {way} ({between(low, high, 2)}) against like rows of the reference."
        made.append(LabelSlice(name, conditions[place], gap.value, low, high, 2 * float(ndtr(-abs(gap.normal))), said))
    adjusted = benjamini_hochberg(np.array([one.p for one in made])) if made else np.zeros(0)
    kept = [replace(one, p=float(p)) for one, p in zip(made, adjusted, strict=True) if p < level]
    return tuple(sorted(kept, key=lambda one: one.p))


def _largest(
    found: Residuals, old: NDArray[np.int64], new: NDArray[np.int64], halves: Sequence[Bools], size: int
) -> int | None:
    """Return the cell whose residuals differ most, in standard errors, on the half that finds."""
    counts = [np.bincount(codes[half], minlength=size) for codes, half in ((old, halves[0]), (new, halves[1]))]
    large = np.flatnonzero(np.minimum(*counts) >= FEWEST)
    best, most = None, 0.0
    for cell in large[np.argsort(-counts[1][large], kind="stable")][:MOST_CELLS]:
        gap = _gap(found, (old == cell) & halves[0], (new == cell) & halves[1])
        if gap is not None and abs(gap.normal) > most:
            best, most = int(cell), abs(gap.normal)
    return best
