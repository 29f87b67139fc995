"""Columns of features as numbers or words, changed and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.held import Held

Floats = NDArray[np.float64]


def is_number(column: Any) -> bool:
    """Say whether a column holds numbers: neither words nor times nor truth values."""
    import pyarrow as pa

    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def is_word(column: Any) -> bool:
    """Say whether a column holds words: text, or categories of text."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def numbers(held: Held) -> list[str]:
    """Return the features that hold numbers and vary."""
    return [name for name in held.columns if is_number(held.table.column(name)) and _varies(held, name)]


def words(held: Held) -> list[str]:
    """Return the features that hold words."""
    return [name for name in held.columns if is_word(held.table.column(name))]


def values(held: Held, name: str) -> Floats:
    """Return a column of numbers, NaN where it is missing, shape (n,)."""
    import pyarrow as pa

    column = held.table.column(name)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64).copy()


def _varies(held: Held, name: str) -> bool:
    known = values(held, name)
    known = known[np.isfinite(known)]
    return bool(len(known) and np.ptp(known) > 0)


def spread(column: Floats) -> float:
    """
    Return the standard deviation of a column's known values; 1 where it has none.

    Examples
    --------
    >>> spread(np.array([1.0, np.nan, 3.0]))
    1.0
    """
    known = column[np.isfinite(column)]
    found = float(known.std()) if len(known) else 0.0
    return found or 1.0


def changed(held: Held, name: str, change: Callable[[Floats], Floats]) -> Held:
    """Return the rows with a column of numbers changed; NaN becomes missing, whole numbers stay integers."""
    import pyarrow as pa

    column = held.table.column(name)
    made = change(values(held, name))
    if (
        pa.types.is_integer(column.type)
        and np.array_equal(made, np.round(made))
        and np.abs(made).max(initial=0) < 2**53
    ):
        array = pa.array(made.astype(np.int64))
    else:
        kind = column.type if pa.types.is_floating(column.type) else pa.float64()
        array = pa.array(made, from_pandas=True).cast(kind, safe=False)
    return put(held, name, array)


def put(held: Held, name: str, array: Any) -> Held:
    """Return the rows with a column replaced."""
    from dataclasses import replace

    table = held.table.set_column(held.columns.index(name), name, array)
    return replace(held, table=table, changed=True)


def taken(held: Held, name: str, rows: NDArray[np.int64]) -> Held:
    """Return the rows with a column's values of other rows."""
    return put(held, name, held.table.column(name).take(rows))


def blanked(held: Held, name: str, rows: NDArray[np.bool_]) -> Held:
    """Return the rows with some values of a column missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = held.table.column(name)
    return put(held, name, pc.if_else(pa.array(rows), pa.scalar(None, column.type), column))
