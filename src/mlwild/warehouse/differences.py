"""What changed between two versions of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.cells import unlike
from mlwild.warehouse.table import StoredTable

#: Corrected rows that are shown.
SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """
    Two versions of a table.

    Parameters
    ----------
    table : str
    old, new : int
        Versions.
    added : int
        Keys that only the newer one has.
    corrected : int
        Keys with other values.
    columns : dict of str to int
        Corrected rows by column.
    examples : tuple of dict
        The first of them: key, column, and both values.
    """

    table: str
    old: int
    new: int
    added: int
    corrected: int
    columns: dict[str, int]
    examples: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "examples": [dict(one) for one in self.examples]}


def differences(table: StoredTable, old: int, new: int) -> Difference:
    """
    Return what a later version has that an earlier one has not.

    Parameters
    ----------
    table : StoredTable
    old, new : int
        Numbers of batches, in any order: rows are only ever added.

    Returns
    -------
    Difference
    """
    said, (old, new) = table.description, sorted((old, new))
    before, after = table.read(version=old), table.read(version=new)
    names = {str(value): place for place, value in enumerate(before.column(said.key).to_pylist())}
    pairs = [
        (names[str(value)], place)
        for place, value in enumerate(after.column(said.key).to_pylist())
        if str(value) in names
    ]
    left, right = (np.array(side, dtype=np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    counts: dict[str, int] = {}
    rows: set[int] = set()
    examples: list[dict[str, Any]] = []
    ours, theirs = before.take(left), after.take(right)
    for name in said.schema.names:
        differ = np.flatnonzero(unlike(ours.column(name), theirs.column(name)))
        if not len(differ):
            continue
        counts[name] = len(differ)
        rows |= {int(one) for one in differ}
        for at in differ[: max(SHOWN - len(examples), 0)]:
            values = {word: one.column(name)[int(at)].as_py() for word, one in (("old", ours), ("new", theirs))}
            examples.append({said.key: ours.column(said.key)[int(at)].as_py(), "column": name, **values})
    added = after.num_rows - len(pairs)
    return Difference(table.name, old, new, added, len(rows), counts, tuple(examples))
