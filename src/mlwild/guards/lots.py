"""Rows that are answered together: those that lack nothing, those that are odd, and those that lack some features."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlwild.guards.stages import Gone
from mlwild.stats.same_rows import same_rows

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]
#: Rows that lack the same features: which rows, which features (None: the rows are odd), and why.
Group = tuple[Ints, tuple[str, ...] | None, list[str]]
#: Stages that may answer, the best first, each with what it loses.
Order = Sequence[tuple[int, Gone]]


class Step(NamedTuple):
    """
    A stage that may answer rows of a lot.

    Parameters
    ----------
    place : int
        Of the stage in the chain.
    fill : str
        What stands where a value cannot be used.
    loss, wider, sure : float, or ndarray of shape (n_rows,)
        What it is expected to lose, the factor of its interval, and how sure it must be to answer.
    """

    place: int
    fill: str
    loss: Floats | float
    wider: Floats | float
    sure: Floats | float


@dataclass(frozen=True, eq=False)
class Lot:
    """
    Rows that the same stages answer in the same order.

    Parameters
    ----------
    rows : ndarray of int, shape (n_rows,)
        Where they are, rising.
    steps : tuple of Step
    gaps : ndarray of bool, shape (n_rows, n_features), optional
        Cells that cannot be used; None where none is to be blanked.
    odd : bool
        Whether nothing in them is to be trusted.
    why : list of str
        Of each row; empty where all is well.
    """

    rows: Ints
    steps: tuple[Step, ...]
    gaps: Bools | None = None
    odd: bool = False
    why: Sequence[str] = ()

    @property
    def clean(self) -> bool:
        """Whether the rows are as they should be."""
        return self.gaps is None and not self.odd


def steps_of(order: Order) -> tuple[Step, ...]:
    """Return the stages that may answer rows that are all as they should be."""
    return tuple([Step(place, gone.fill, gone.loss, gone.wider, gone.sure) for place, gone in order])


class Kind(NamedTuple):
    """
    Rows that lack the same features.

    Parameters
    ----------
    rows : ndarray of int
        Where they are.
    broken, lacking : list of int
        Features that are broken, and all that they lack: what is missing in such a row costs something too, though it
        may be.
    odd : bool
        Whether the rows as a whole are.
    """

    rows: Ints
    broken: list[int]
    lacking: list[int]
    odd: bool


def kinds_of(broken: Bools, missing: Bools, odd: Bools | None = None) -> list[Kind]:
    """
    Group rows by what is broken in them, and by what is missing beside that.

    Parameters
    ----------
    broken, missing : ndarray of bool, shape (n_rows, n_features)
    odd : ndarray of bool, shape (n_rows,), optional

    Examples
    --------
    >>> broken = np.array([[True, False], [False, False], [True, False]])
    >>> missing = np.array([[False, True], [False, True], [True, False]])
    >>> [(one.rows.tolist(), one.broken, one.lacking) for one in kinds_of(broken, missing)]
    [([1], [], []), ([2], [0], [0]), ([0], [0], [0, 1])]
    """
    n = broken.shape[1]
    odd = np.zeros(len(broken), dtype=bool) if odd is None else odd
    lacking = broken | (missing & broken.any(axis=1, keepdims=True))
    kinds, which = same_rows(np.column_stack([broken, lacking, odd]))
    return [
        Kind(
            np.flatnonzero(which == place),
            np.flatnonzero(kind[:n]).tolist(),
            np.flatnonzero(kind[n : 2 * n]).tolist(),
            bool(kind[-1]),
        )
        for place, kind in enumerate(kinds)
    ]


def lots_of(
    groups: Sequence[Group],
    broken: Bools,
    ordered: Callable[[tuple[str, ...] | None, int], Order],
    refuse: float = math.inf,
) -> list[Lot]:
    """
    Join groups whose stages are the same in the same order: a model is asked once for them, not once for each.

    Parameters
    ----------
    groups : sequence of (ndarray of int, tuple of str or None, list of str)
        Rows, the features that they lack, and why.
    broken : ndarray of bool, shape (n_rows, n_features)
    ordered : callable
        Of some features and the number of rows: the stages that may answer.
    refuse : float
        Loss above which a stage does not answer.

    Examples
    --------
    >>> groups = [(np.array([0, 3]), ("a",), ["no a"] * 2), (np.array([1]), ("b",), ["no b"])]
    >>> broken = np.array([[True, False], [False, True], [False, False], [True, False]])
    >>> [lot] = lots_of(groups, broken, lambda names, n: [(0, Gone(1.0 if "a" in names else 2.0))])
    >>> lot.rows.tolist(), lot.why, lot.steps[0].loss.tolist()
    ([0, 1, 3], ['no a', 'no b', 'no a'], [1.0, 2.0, 1.0])
    """
    found: dict[tuple[object, ...], list[tuple[Group, Order]]] = {}
    for group in groups:
        order = ordered(group[1], len(group[0]))
        kind = "odd" if group[1] is None else "gaps" if group[1] else "clean"
        found.setdefault((kind, *((place, gone.fill, gone.loss > refuse) for place, gone in order)), []).append(
            (group, order)
        )
    return [_joined(parts, broken) for parts in found.values()]


def _joined(parts: Sequence[tuple[Group, Order]], broken: Bools) -> Lot:
    rows = np.concatenate([group[0] for group, _ in parts])
    in_order = rows.argsort()
    sizes = [len(group[0]) for group, _ in parts]
    steps = []
    for (place, first), *others in zip(*(order for _, order in parts), strict=True):
        gone = [first, *(one for _, one in others)]
        each = np.repeat([[one.loss, one.wider, one.sure] for one in gone], sizes, axis=0)[in_order]
        steps.append(Step(place, first.fill, *each.T))
    why = [one for group, _ in parts for one in group[2]]
    names = parts[0][0][1]
    rows = rows[in_order]
    return Lot(
        rows, tuple(steps), broken[rows] if names else None, names is None, [why[one] for one in in_order.tolist()]
    )


def at(value: Floats | float, rows: Ints) -> Floats | float:
    """Return the values of some rows, where they differ by row."""
    return value if isinstance(value, float) else value[rows]


def told_of(before: NDArray[np.object_] | None, rows: Ints, causes: Sequence[str]) -> list[str] | str:
    """Return the causes of some rows: their own, and those of all."""
    if before is None:
        return "; ".join(causes)
    return ["; ".join((one, *causes) if one else causes) for one in before[rows].tolist()]
