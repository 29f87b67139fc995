"""Cells of two tables compared: bit by bit, missing with missing."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray


def unlike(left: Any, right: Any) -> NDArray[np.bool_]:
    """
    Return where two columns differ in a bit; missing equals missing, and NaN counts as missing.

    Parameters
    ----------
    left, right : pyarrow.ChunkedArray of length n

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> import pyarrow as pa
    >>> unlike(pa.chunked_array([[1.0, None, 0.3]]), pa.chunked_array([[1.0, None, 0.1 + 0.2]])).tolist()
    [False, False, True]
    >>> unlike(pa.chunked_array([pa.nulls(2)]), pa.chunked_array([["a", None]])).tolist()
    [True, False]
    """
    import pyarrow as pa
    import pyarrow.compute

    (ours, our_gaps), (theirs, their_gaps) = plain(left), plain(right)
    numbers = is_number(ours.type) and is_number(theirs.type)
    if numbers and (pa.types.is_floating(ours.type) or pa.types.is_floating(theirs.type)):
        a, b = ours.cast(pa.float64(), safe=False), theirs.cast(pa.float64(), safe=False)
        # Bit patterns: NaN equals NaN, and a difference in the last bit is a difference.
        values = [x.fill_null(0.0).to_numpy(zero_copy_only=False).view(np.int64) for x in (a, b)]
        different = values[0] != values[1]
    elif pa.types.is_null(ours.type) or pa.types.is_null(theirs.type):
        different = np.zeros(len(ours), dtype=bool)  # a column without a value differs where the other has one
    elif ours.type == theirs.type and not pa.types.is_nested(ours.type):
        different = pa.compute.not_equal(ours, theirs).fill_null(fill_value=False).to_numpy(zero_copy_only=False)
    else:
        pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)
        different = np.array([repr(a) != repr(b) for a, b in pairs], dtype=bool)
    return np.asarray((our_gaps != their_gaps) | (different & ~our_gaps & ~their_gaps))


def is_number(kind: Any) -> bool:
    """Say whether a column of an Arrow type holds numbers."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def plain(column: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Return a column as one array without dictionary, booleans and integers as int64, and where it is missing."""
    import pyarrow as pa

    array = pa.chunked_array(column.chunks, column.type).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_integer(array.type):
        array = array.cast(pa.int64(), safe=False)
    nulls = array.is_null(nan_is_null=True) if pa.types.is_floating(array.type) else array.is_null()
    return array, np.asarray(nulls.to_numpy(zero_copy_only=False), dtype=bool)


def text(value: Any) -> str:
    """
    Return a cell for a reader.

    Examples
    --------
    >>> import pyarrow as pa
    >>> text(pa.scalar(None)), text(pa.scalar("a"))
    ('missing', "'a'")
    """
    made = value.as_py() if hasattr(value, "as_py") else value
    return "missing" if made is None else repr(made)


def kinds(values: NDArray[Any]) -> NDArray[np.str_]:
    """
    Return the values of a group as words; a missing one says so, unlike the word for it.

    Examples
    --------
    >>> kinds(np.array(["None", None, float("nan"), 3], dtype=object)).tolist()
    ['None', '(missing)', '(missing)', '3']
    """
    gone = [one is None or (isinstance(one, float) and isnan(one)) for one in values.tolist()]
    return np.where(np.array(gone, dtype=bool), "(missing)", values.astype(str))
