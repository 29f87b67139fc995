"""Features that say nearly the same: each is missed only when the others are gone too."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mlwild.guards.encoding import Encoding

Floats = NDArray[np.float64]

#: Correlation of ranks from which on two numbers say nearly the same, and the share of the rows in which one word tells
#: the other.
ALIKE, TOLD = 0.8, 0.9


def groups_of(encoding: Encoding, table: Any) -> list[frozenset[str]]:
    """
    Return groups of features of which each says nearly the same as another of its group.

    Parameters
    ----------
    encoding : Encoding
    table : pyarrow.Table of n_rows
        Rows that show it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> a = np.arange(8.0)
    >>> table = pa.table({"a": a, "b": a % 3, "a twice": 2 * a + a % 2, "word": list("xyxyxyxy")})
    >>> [sorted(group) for group in groups_of(Encoding.of(table, "pandas"), table)]
    [['a', 'a twice']]
    """
    rows, names = encoding.matrix(table)[0], encoding.names
    words = [place for place, name in enumerate(names) if name in encoding.words]
    numbers = [place for place in range(len(names)) if place not in words]
    pairs = [(one, other) for one, other in combinations(words, 2) if _told(rows[:, one], rows[:, other])]
    near = np.abs(_correlations(rows[:, numbers])) >= ALIKE
    pairs += [(numbers[one], numbers[other]) for one, other in np.argwhere(np.triu(near, 1)).tolist()]
    lead = list(range(len(names)))  # the first of its group
    for one, other in pairs:
        lead = [lead[one] if first == lead[other] else first for first in lead]
    groups = [frozenset(name for name, one in zip(names, lead, strict=True) if one == first) for first in set(lead)]
    return sorted((group for group in groups if len(group) > 1), key=sorted)


def _correlations(rows: Floats) -> Floats:
    """Return the correlations of the ranks of columns; a missing value counts as the middle."""
    known = np.isfinite(rows)
    ranks = np.where(known, rankdata(np.where(known, rows, np.inf), axis=0), 0.0)  # what is missing comes last
    off = np.where(known, ranks - ranks.sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    scale = np.sqrt((off * off).sum(axis=0))
    unit = np.divide(off, scale, out=np.zeros_like(off), where=scale > 0)
    return np.asarray(unit.T @ unit)


def _told(one: Floats, other: Floats) -> bool:
    """Say whether either column tells what the other holds in most rows."""
    known = np.isfinite(one) & np.isfinite(other)
    if not known.any():
        return False
    cells, counts = np.unique(np.column_stack([one[known], other[known]]), axis=0, return_counts=True)
    for side, told in ((0, 1), (1, 0)):
        most: dict[float, int] = {}
        alone: dict[float, int] = {}
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            most[cell[side]] = max(most.get(cell[side], 0), count)
            alone[cell[told]] = alone.get(cell[told], 0) + count
        n = int(counts.sum())
        # A word that most rows hold is no news.
        if sum(most.values()) >= TOLD * n > max(alone.values()):
            return True
    return False
