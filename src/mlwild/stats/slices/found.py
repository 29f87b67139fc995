"""Bad slices that hold: found on one half of the rows, confirmed on the other."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.paired import finite
from mlwild.stats.slices.excess import excess, loss_high
from mlwild.stats.slices.halves import halves
from mlwild.stats.slices.lattice import search
from mlwild.stats.slices.rows import Conditions, Floats, checked_codes, default_support, members, prepared
from mlwild.stats.slices.scores import MeanTest, Score, SliceLineScore
from mlwild.stats.slices.sliceline import checked_search

#: Best slices of the search that distinct ones are chosen from.
POOL = 1_000
#: Standard errors by which a slice must stand out from what the better ones explain.
STANDS_OUT = 2.0


@dataclass(frozen=True)
class FoundSlice:
    """
    A slice that was found on one half of the rows, and what the other half says of it.

    Parameters
    ----------
    conditions : tuple of (int, int)
        Feature and bin; all must hold. In order of the features.
    found_n : int
        Rows of the slice in the half that was searched.
    found_mean : float
        Their mean loss, flattered by the search: no estimate.
    n : int
        Rows of the slice in the half that confirms; the numbers below are of this half.
    mean, rest : float
        Mean loss in the slice and in all other rows; NaN where there is no row.
    excess : float
        The first less the second.
    low : float
        Lower bound of the excess; minus infinity where there is none.
    high : float
        Upper bound of the mean loss in the slice; infinity where there is none.
    confirmed : bool
        Whether the lower bound is above zero.
    """

    conditions: Conditions
    found_n: int
    found_mean: float
    n: int
    mean: float
    rest: float
    excess: float
    low: float
    high: float
    confirmed: bool


@dataclass(frozen=True)
class FoundSlices:
    """
    The worst slices of a search.

    Parameters
    ----------
    slices : tuple of FoundSlice
        Confirmed ones first, each by the lower bound of its excess, greatest first.
    searched : int
        Conjunctions among which they were found.
    level : float
        Chance that all lower bounds hold at once; likewise all upper ones.
    found_n, n : int
        Rows that were searched, and rows that confirm.
    mean : float
        Mean loss of the rows that confirm.
    """

    slices: tuple[FoundSlice, ...]
    searched: int
    level: float
    found_n: int
    n: int
    mean: float

    @property
    def confirmed(self) -> tuple[FoundSlice, ...]:
        """Those whose excess is not chance."""
        return tuple(one for one in self.slices if one.confirmed)


def found_slices(
    codes: NDArray[Any],
    losses: Any,
    *,
    half: Any = None,
    period: Any = None,
    k: int = 5,
    levels: int = 3,
    support: float | None = None,
    alpha: float | None = None,
    level: float = 0.95,
    bound: float | None = None,
    seed: int = 0,
) -> FoundSlices:
    """
    Return the worst slices, found on one half of the rows and confirmed on the other.

    The worst of thousands of slices looks bad by chance. So the search sees one half of the rows only, and
    each of the slices that it proposes is held against the rest of the rows in the other half, at a level
    shared among them (Bonferroni).

    The search ranks slices by the mean test (`MeanTest`): SliceLine's score finds no small slice unless its
    weight is set for the base rate at hand. Of its best, those are kept that still stand out by two standard
    errors once the excess that better ones explain is taken off their rows: of slices that lie in one
    another, or that share most rows, one remains unless the others are bad in their own right.

    Measured on 5,000 rows of ten features with losses of 0 and 1, where a slice of two conditions and 5 % of
    the rows loses 0.2 more: at a base rate of 0.1, 0.2, 0.3 and 0.5 it is confirmed in 99, 94, 92 and 93 of 100
    tables (400 each); one of three conditions and 4 % in 93 at 0.1 and 65 at 0.3. Ranked by SliceLine's score with
    alpha 0.6 in none, with 0.95 in 98, 36 and 1 at 0.1, 0.2 and 0.3, with 0.98 in 92, 95 and 92 (200 each). Where no
    slice is worse, one is called so in 3 to 5 of 100 (1,000 each).

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_features)
        Bins of the features, as whole numbers from 0.
    losses : array-like of shape (n_rows,)
        Loss of each row; where all are 0 or 1 they are taken as errors.
    half : array-like of bool, shape (n_rows,), optional
        Rows to search; the others confirm. Rows that come in clumps (one customer, one storm) belong on one
        side. Default: see `halves`.
    period : array-like of int, shape (n_rows,), optional
        Period of each row, for the halves.
    k : int
        Slices that are proposed, at most.
    levels : int
        Conditions of a slice, at most; 1 to 4.
    support : float, optional
        Rows of the searched half that a slice needs; default one in a hundred, and at least 32.
    alpha : float, optional
        Rank by SliceLine's score with this weight of the error, in (0, 1]; losses must be 0 or more.
    level : float
        Chance that no slice is called worse than it is, in (0, 1); and that no upper bound is too low.
    bound : float, optional
        What no loss can exceed: the upper bounds then hold at any size. Losses must be 0 or more.
    seed : int
        Of the halves and of permutations.

    Returns
    -------
    FoundSlices

    Raises
    ------
    DataError
        If the codes are no whole numbers from 0, a loss is not finite, a half is empty, or a setting is out
        of its range.

    See Also
    --------
    sliceline : The search alone.

    References
    ----------
    .. [1] Sagadeeva, S., & Boehm, M. (2021). SliceLine: fast, linear-algebra-based slice finding for ML
       model debugging. SIGMOD, 2290-2299.
    .. [2] Cox, D. R. (1975). A note on data-splitting for the evaluation of significance levels.
       Biometrika, 62(2), 441-444.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 5, size=(5000, 6))
    >>> worse = (codes[:, 0] == 1) & (codes[:, 3] == 4)
    >>> found = found_slices(codes, rng.random(5000) < np.where(worse, 0.4, 0.1))
    >>> [(one.conditions, one.n, round(one.mean, 2)) for one in found.confirmed], found.searched
    ([(((0, 1), (3, 4)), 102, 0.41)], 2905)
    """
    array, lost = checked_codes(codes), finite(losses, "losses")
    if len(lost) != len(array):
        raise DataError(f"losses has {len(lost)} rows, codes {len(array)}. Hint: give one for each row.")
    checked_search(k, levels, support)
    _checked_settings(lost, alpha, level, bound)
    first = halves(len(lost), period=period, seed=seed) if half is None else np.asarray(half)
    if first.shape != lost.shape or first.dtype != np.bool_ or first.all() or not first.any():
        raise DataError(
            f"half of shape {first.shape} holds {first.dtype}, need True and False for {len(lost)} rows, some of each."
        )
    seen, rest = (array[first], lost[first]), (array[~first], lost[~first])
    least = default_support(len(seen[1])) if support is None else support
    proposed, searched = _proposed(*seen, k=k, levels=levels, support=least, alpha=alpha)
    made = _confirmed(proposed, seen, rest, delta=(1 - level) / max(len(proposed), 1), bound=bound, seed=seed)
    made.sort(key=lambda one: (not one.confirmed, -one.low, one.conditions))
    return FoundSlices(tuple(made), searched, level, len(seen[1]), len(rest[1]), float(rest[1].mean()))


def _checked_settings(losses: Floats, alpha: float | None, level: float, bound: float | None) -> None:
    """Refuse settings that are out of their range or do not suit the losses."""
    if not 0 < level < 1:
        raise DataError(f"level is {level}, needs to lie in (0, 1).")
    if alpha is not None and not 0 < alpha <= 1:
        raise DataError(f"alpha is {alpha}, needs to lie in (0, 1].")
    if bound is not None and not (0 < bound < math.inf and losses.max() <= bound):
        row = int(losses.argmax())
        raise DataError(f"bound is {bound} and losses {losses[row]:g} in row {row}: no loss may exceed it.")
    if (alpha is not None or bound is not None) and losses.min() < 0:
        row = int(losses.argmin())
        raise DataError(f"losses is {losses[row]:g} in row {row}, needs to be 0 or more with alpha or bound.")


def _proposed(
    codes: NDArray[np.integer[Any]], losses: Floats, *, k: int, levels: int, support: float, alpha: float | None
) -> tuple[list[Conditions], int]:
    """Return up to k slices of one half that are bad each in its own right, and how many were searched."""
    errors = losses - min(float(losses.min()), 0.0)  # the mean test does not mind the shift
    rows = prepared(codes, errors, support=support)
    conjunctions = rows.conjunctions(levels)
    spread = float(losses.std())
    if not np.ptp(losses) or not sum(conjunctions):
        return [], sum(conjunctions)
    best, _ = search(rows, _score(errors, conjunctions, alpha), k=POOL, levels=levels)
    left, kept = losses - losses.mean(), []
    for one in best.ranked(rows)[0]:
        inside = members(codes, one.conditions)
        if left[inside].sum() >= STANDS_OUT * spread * math.sqrt(one.size):
            left[inside] -= left[inside].mean()
            kept.append(one.conditions)
            if len(kept) == k:
                break
    return kept, sum(conjunctions)


def _score(errors: Floats, conjunctions: list[int], alpha: float | None) -> Score:
    """Return what slices are ranked by."""
    if alpha is not None:
        return SliceLineScore(alpha, float(len(errors)), float(errors.mean()))
    reached = (math.sqrt(2 * math.log(max(n, 1))) for n in conjunctions)
    return MeanTest(float(errors.mean()), float(errors.std()), tuple(itertools.accumulate(reached, max)))


def _confirmed(
    proposed: list[Conditions],
    seen: tuple[NDArray[np.integer[Any]], Floats],
    rest: tuple[NDArray[np.integer[Any]], Floats],
    *,
    delta: float,
    bound: float | None,
    seed: int,
) -> list[FoundSlice]:
    """Return what the other half says of slices."""
    rates = bool(np.isin(np.concatenate([seen[1], rest[1]]), (0.0, 1.0)).all())
    inside = [members(rest[0], conditions) for conditions in proposed]
    bounds = excess(rest[1], inside, delta=delta, rates=rates, seed=seed)
    made = []
    for conditions, mask, more in zip(proposed, inside, bounds, strict=True):
        before, here, others = seen[1][members(seen[0], conditions)], rest[1][mask], rest[1][~mask]
        made.append(
            FoundSlice(
                conditions=conditions,
                found_n=len(before),
                found_mean=float(before.mean()),
                n=len(here),
                mean=float(here.mean()) if len(here) else math.nan,
                rest=float(others.mean()) if len(others) else math.nan,
                excess=more.estimate,
                low=more.low,
                high=loss_high(rest[1], mask, delta=delta, rates=rates, bound=bound, seed=seed),
                confirmed=more.low > 0,
            )
        )
    return made
