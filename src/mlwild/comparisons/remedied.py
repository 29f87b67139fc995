"""Is a remedy worth having? What it does to the slice, what it costs elsewhere, and the tries counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Record
from mlwild.comparisons.given import Losses
from mlwild.comparisons.ordered import FIXED_B_LEVEL
from mlwild.errors import DataError
from mlwild.jsonable import plain
from mlwild.stats.clusters import clustered
from mlwild.stats.paired import Difference, batch_means, fixed_b
from mlwild.wording import between, count, number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECOMMENDED, NO_DIFFERENCE, HARMFUL = "recommended", "no difference", "harmful"


@dataclass(frozen=True, eq=False)
class Paired:
    """
    Losses of the model as it is and of the remedied one, on the same rows.

    Parameters
    ----------
    before, after : ndarray of shape (n_rows,)
        Loss of each row without and with the remedy; lower is better.
    period : ndarray of int64, shape (n_rows,)
        Number of the period that each row belongs to.
    weights : ndarray of shape (n_rows,), optional
        Above 0; the number of events where a row stands for a whole period.
    """

    before: Floats
    after: Floats
    period: Ints
    weights: Floats | None = None

    @property
    def mass(self) -> Floats:
        """Weight of each row."""
        return np.ones(len(self.before)) if self.weights is None else np.asarray(self.weights, dtype=np.float64)

    def with_rows_of(self, other: Paired) -> Paired:
        """Return the rows of both, in order of periods."""
        order = np.argsort(np.concatenate([self.period, other.period]), kind="stable")
        parts = [(self.before, other.before), (self.after, other.after), (self.period, other.period)]
        before, after, period = (np.concatenate(pair)[order] for pair in parts)
        return Paired(before, after, period, np.concatenate([self.mass, other.mass])[order])


def parted(before: Floats, after: Floats, in_slice: NDArray[np.bool_], period: Ints) -> tuple[Paired, Paired]:
    """
    Return the rows of the slice and those elsewhere.

    Raises
    ------
    DataError
        If the shapes differ, or either part has no row.

    Examples
    --------
    >>> inside, elsewhere = parted(np.ones(3), np.zeros(3), np.array([True, False, False]), np.array([0, 0, 1]))
    >>> len(inside.before), len(elsewhere.before)
    (1, 2)
    """
    shapes = {np.shape(values) for values in (before, after, in_slice, period)}
    if len(shapes) > 1:
        raise DataError(f"losses, slice and periods have shapes {sorted(shapes)}; need one of each a row.")
    for mask, name in ((in_slice, "in"), (~in_slice, "outside of")):
        if not mask.any():
            raise DataError(f"slice: no scored row lies {name} it, so that nothing can be compared there.")
    inside, outside = (Paired(before[mask], after[mask], period[mask]) for mask in (in_slice, ~in_slice))
    return inside, outside


def judge(name: str, inside: Paired, elsewhere: Paired, *, tries: int = 1, level: float = 0.95) -> Record:
    """
    Say whether a remedy is recommended: better in the slice, and elsewhere not shown to be worse.

    Losses are paired, and the unit is the period. Periods that lie apart are taken for independent (Student's t
    over their means, weighted by rows); neighbouring ones are not (fixed-b, which says nothing of a few
    periods that resemble each other). Intervals of all remedies
    that were tried hold together (Bonferroni). Where elsewhere is shown to be worse, a remedy is recommended
    only if all rows together are shown to be better; else it is harmful, as one that makes the slice worse is.
    Where it is not known what happens elsewhere, none is recommended.

    Parameters
    ----------
    name : str
        Of the remedy.
    inside, elsewhere : Paired
        Rows of the slice, and all others.
    tries : int
        Number of remedies tried on this slice, at least 1.
    level : float
        Coverage of all intervals of one kind together, in [0.5, 1).

    Returns
    -------
    dict
        Name, verdict ("recommended", "no difference" or "harmful"), said, level, tries; and for `slice`,
        `elsewhere` and `all` a dict with before, after, estimate (after less before: below zero is better), low,
        high, smallest_detectable, n, periods, method and why. None where it is not known.

    Raises
    ------
    DataError
        If losses are no pairs of finite numbers, or a setting is out of its range.

    References
    ----------
    .. [1] Dunn, O. J. (1961). Multiple comparisons among means. JASA, 56(293), 52-64.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> period = np.repeat(np.arange(0, 16, 2), 50)
    >>> hard, easy = rng.random(400), rng.random(400)
    >>> mended = Paired(hard, hard - 0.2 + 0.1 * rng.random(400), period)
    >>> found = judge("reweighted", mended, Paired(easy, easy, period), tries=3)
    >>> found["verdict"], round(found["slice"]["estimate"], 2)
    ('recommended', -0.15)
    """
    if tries < 1 or not 0.5 <= level < 1:
        raise DataError(f"tries is {tries} and level {level}, need at least 1 and [0.5, 1).")
    joint = 1 - (1 - level) / tries
    parts = {"slice": inside, "elsewhere": elsewhere, "all": inside.with_rows_of(elsewhere)}
    found = {part: _difference(pairs, joint) for part, pairs in parts.items()}
    verdict = _verdict(found["slice"], found["elsewhere"], found["all"])
    made: Record = {"name": name, "verdict": verdict, "said": _said(name, verdict, found, tries, level)}
    made |= {"level": level, "tries": tries}
    made |= {part: _facts(parts[part], found[part], level) for part in parts}
    record: Record = plain(made)
    return record


def _difference(pairs: Paired, level: float) -> Difference:
    kinds = np.unique(pairs.period)
    if len(kinds) > 1 and np.diff(kinds).min() < 2:
        table = np.column_stack([pairs.before, pairs.after])
        losses = Losses(("before", "after"), table, period=pairs.period, weights=pairs.weights)
        before, after = losses.by_period().series.T
        found = (
            fixed_b(after, before, level=level) if level <= FIXED_B_LEVEL else batch_means(after, before, level=level)
        )
        return replace(found, n=len(pairs.before), reason=found.reason.replace("rows", "periods"))
    found = clustered(pairs.after, pairs.before, pairs.period, weights=pairs.mass, level=level)
    return replace(found, reason=found.reason.replace("cluster", "period"))


def _verdict(inside: Difference, elsewhere: Difference, whole: Difference) -> str:
    better, worse = inside.high < 0, inside.low > 0  # both False where there is no interval
    if worse or (elsewhere.low > 0 and not (better and whole.high < 0)):
        return HARMFUL
    # Nobody is told to pay a price elsewhere that is not known.
    told = unchanged(elsewhere) or not elsewhere.undecided
    return RECOMMENDED if better and told else NO_DIFFERENCE


def unchanged(found: Difference) -> bool:
    """Say whether both lose the same on every row."""
    return found.undecided and found.estimate == 0.0


def _facts(pairs: Paired, found: Difference, level: float) -> Record:
    mass = pairs.mass
    return {
        "before": float(np.average(pairs.before, weights=mass)),
        "after": float(np.average(pairs.after, weights=mass)),
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "smallest_detectable": found.smallest_detectable,
        "n": found.n,
        "periods": len(np.unique(pairs.period)),
        "method": found.method,
        "why": found.reason or f"interval of {level:.0%} for all remedies tried together",
    }


def _said(name: str, verdict: str, found: dict[str, Difference], tries: int, level: float) -> str:
    """Return the verdict in one sentence."""
    inside, elsewhere = found["slice"], found["elsewhere"]
    shared = f"{level:.0%} interval, {count(tries)} {'tries' if tries > 1 else 'try'} counted"
    if inside.undecided:
        head = f"it cannot be told what {name!r} does to the slice: {inside.reason}"
    elif inside.low <= 0 <= inside.high:
        head = (
            f"no difference can be told in the slice with {name!r}: {_signed(inside.estimate)} "
            f"({between(inside.low, inside.high, 2)}; {shared})"
        )
    else:
        less = inside.estimate < 0
        low, high = sorted((abs(inside.low), abs(inside.high)))
        head = (
            f"{name!r} loses {number(abs(inside.estimate), 2)} {'less' if less else 'more'} in the slice "
            f"({between(low, high, 2)}; {shared})"
        )
    if unchanged(elsewhere):
        tail = "elsewhere nothing changes"
    elif elsewhere.undecided:
        tail = f"what it costs elsewhere cannot be told ({elsewhere.reason})"
    elif elsewhere.low > 0:
        tail = f"it costs {number(elsewhere.estimate, 2)} elsewhere ({between(elsewhere.low, elsewhere.high, 2)})"
    elif elsewhere.high < 0:
        tail = f"it gains {number(-elsewhere.estimate, 2)} elsewhere"
    else:
        tail = f"elsewhere no cost can be told ({between(elsewhere.low, elsewhere.high, 2)})"
    return f"{verdict.capitalize()}: {head}; {tail}."


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{number(value, 2)}"


def failed(name: str, why: str) -> dict[str, Any]:
    """Return the record of a remedy that could not be made."""
    return {"name": name, "verdict": "failed", "said": f"{name!r} could not be made: {why}."}
