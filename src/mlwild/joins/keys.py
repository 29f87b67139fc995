"""Keys of two tables as the same small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def shared(left: Sequence[Any], right: Sequence[Any], sizes: tuple[int, int]) -> tuple[Codes, Codes]:
    """
    Return the keys of the left rows as numbers, and those of the right rows as the same numbers.

    Whole numbers and fractions are compared as numbers, words as words, dates as their midnights, all else as text,
    where 1.0 is "1": frames turn whole numbers with gaps into fractions. A missing key (null or NaN) is a key of its
    own: it matches a missing one.

    Parameters
    ----------
    left, right : sequence of pyarrow.Array
        Columns of the key, in the same order; none: all rows have the same key.
    sizes : tuple of int
        Rows on the left and on the right.

    Returns
    -------
    left, right : ndarray of int64
        Right rows whose key no left row has are -1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> shared([pa.array(["a", "b", None])], [pa.array(["b", "c", None, "b"])], (3, 4))
    (array([0, 1, 2]), array([ 1, -1,  2,  1]))
    """
    import pyarrow as pa

    ours, theirs = np.zeros(sizes[0], np.int64), np.zeros(sizes[1], np.int64)
    for place, (a, b) in enumerate(zip(left, right, strict=True)):
        one, other, width = _coded(*_alike(a, b))
        if place == 0:
            ours, theirs = one, other
            continue
        # Two columns as one number, which is numbered again: so that it stays small.
        both = pa.array(ours * width + one), pa.array(np.where((theirs < 0) | (other < 0), -1, theirs * width + other))
        ours, theirs, _ = _coded(*both)
    return ours, theirs


def _coded(left: Any, right: Any) -> tuple[Codes, Codes, int]:
    import pyarrow.compute as pc

    coded = pc.dictionary_encode(left, null_encoding="encode")
    words = coded.dictionary
    found = pc.fill_null(pc.index_in(right, value_set=words), -1)
    ours, theirs = (one.to_numpy(zero_copy_only=False).astype(np.int64) for one in (coded.indices, found))
    return ours, theirs, len(words)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two columns in a type that both can be compared in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    left, right = _plain(left), _plain(right)
    a, b = left.type, right.type
    if types.is_null(a) or types.is_null(b):
        kind = b if types.is_null(a) else a
        return left.cast(kind), right.cast(kind)
    if _number(a) and _number(b):
        if types.is_floating(a) or types.is_floating(b):
            return _fractions(left), _fractions(right)
        return left.cast(pa.int64(), safe=False), right.cast(pa.int64(), safe=False)
    if _words(a) and _words(b):
        return left.cast(pa.large_string()), right.cast(pa.large_string())
    if types.is_timestamp(a) and types.is_timestamp(b) and a != b and (a.tz is None) == (b.tz is None):
        kind = pa.timestamp("ns", a.tz)
        return left.cast(kind), right.cast(kind)
    if _wall(a) and _wall(b) and a != b:
        # Frames turn a date into its midnight; nanoseconds hold no date beyond 2262, such as that of "until further".
        kind = pa.timestamp("us")
        return left.cast(kind, safe=False), right.cast(kind, safe=False)
    if a == b and not types.is_nested(a):
        return left, right
    left, right = _text(left), _text(right)
    if types.is_floating(a) or types.is_floating(b):  # words may have been fractions, too
        left, right = (pc.replace_substring_regex(one, r"^(-?\d+)\.0$", r"\1") for one in (left, right))
    return left, right


def _plain(array: Any) -> Any:
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _fractions(array: Any) -> Any:
    """Return numbers as fractions: NaN is missing, and zero has one sign."""
    import pyarrow as pa

    values = array.cast(pa.float64(), safe=False)
    gaps = values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    return pa.array(values.fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0, mask=gaps)


def _text(array: Any) -> Any:
    import pyarrow as pa

    gaps = array.is_null(nan_is_null=True).to_pylist()
    return pa.array(
        [None if gap else _said(value) for value, gap in zip(array.to_pylist(), gaps, strict=True)], pa.large_string()
    )


def _said(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _wall(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None))


def _words(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
