"""Rows of a features frame, whatever its kind: counted, taken, stacked, a column taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.errors import DataError


def count(X: Any) -> int:  # noqa: N803  the field's name
    """
    Return the number of rows of a frame or array.

    Examples
    --------
    >>> count(np.zeros((3, 2)))
    3
    """
    return int(X.shape[0])


def take(X: Any, rows: NDArray[Any]) -> Any:  # noqa: N803
    """
    Return the rows at the given positions (int) or under a mask (bool), as the same kind of frame.

    Examples
    --------
    >>> import pyarrow as pa
    >>> take(pa.table({"a": [1, 2, 3]}), np.array([2, 0, 2]))["a"].to_pylist()
    [3, 1, 3]
    """
    if isinstance(X, np.ndarray):
        return X[rows]
    return frames.take(frames.eager(X, "features"), rows).to_native()


def stack(parts: Sequence[Any]) -> Any:
    """
    Return frames of the same columns one below the other.

    Examples
    --------
    >>> stack([np.zeros((1, 2)), np.ones((2, 2))]).shape
    (3, 2)
    """
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    tables = [frames.eager(part, "features") for part in parts]
    if any(table.schema != tables[0].schema for table in tables):
        # Noise on whole numbers makes fractions: the column becomes what holds both.
        import pyarrow as pa

        both = pa.concat_tables([table.to_arrow() for table in tables], promote_options="permissive")
        return frames.from_arrow(both, str(tables[0].implementation), "features")
    made = nw.concat(tables).to_native()
    return made.reset_index(drop=True) if hasattr(made, "reset_index") else made


def names(X: Any) -> list[str]:  # noqa: N803
    """
    Return the names of the columns; those of an array are x0, x1 and so on.

    Examples
    --------
    >>> names(np.zeros((3, 2)))
    ['x0', 'x1']
    """
    if isinstance(X, np.ndarray):
        return [f"x{place}" for place in range(X.shape[1])]
    return list(frames.eager(X, "features").columns)


def column(X: Any, name: str, field: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:  # noqa: N803
    """
    Return a column as an array, and where it is missing.

    Raises
    ------
    DataError
        If there is no such column.

    Examples
    --------
    >>> column(np.array([[1.0, 2.0], [3.0, np.nan]]), "x1", "slice")
    (array([ 2., nan]), array([False,  True]))
    """
    if not isinstance(X, np.ndarray):
        return frames.values(frames.eager(X, "features"), name, field)
    have = names(X)
    if name not in have:
        raise DataError(f"{field}: the features have no column {name!r}. They have {', '.join(have)}.")
    values = X[:, have.index(name)]
    return values, np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)


def without(X: Any, name: str) -> Any:  # noqa: N803
    """
    Return the frame without a column.

    Examples
    --------
    >>> without(np.array([[1, 2, 3]]), "x1")
    array([[1, 3]])
    """
    if isinstance(X, np.ndarray):
        return np.delete(X, names(X).index(name), axis=1)
    return frames.eager(X, "features").drop(name).to_native()


def with_column(X: Any, name: str, values: NDArray[Any]) -> Any:  # noqa: N803
    """
    Return the frame with one more column, the last; an array does not keep the name.

    Examples
    --------
    >>> with_column(np.array([[1.0], [2.0]]), "slice", np.array([True, False]))
    array([[1., 1.],
           [2., 0.]])
    """
    if isinstance(X, np.ndarray):
        return np.column_stack([X, values.astype(X.dtype)])
    frame = frames.eager(X, "features")
    return frame.with_columns(nw.new_series(name, values, backend=frame.implementation)).to_native()


def every(codes: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """
    Return every so many rows of each group, in order; none of a group with fewer.

    Examples
    --------
    >>> every(np.array([0, 0, 1, 0, 0, 1]), 2).tolist()
    [False, True, False, False, True, True]
    """
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    place = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    picked = np.zeros(len(codes), dtype=bool)
    picked[order] = place % step == step - 1
    return picked
