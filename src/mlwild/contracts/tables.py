"""A table of any kind as Arrow columns, one by one, so that one bad column spoils no other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.errors import DataError

Values = NDArray[Any]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Columns:
    """
    The columns of a table.

    Parameters
    ----------
    arrays : dict of str to pyarrow.Array
    n : int
        Number of rows.
    mixed : dict of str to (row, value, said)
        Columns that Arrow cannot hold, since their values are of several kinds: the first row of the rarer kind.
    """

    arrays: dict[str, Any]
    n: int
    mixed: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [*self.arrays, *self.mixed]

    def table(self, rows: Any) -> Any:
        """Return some rows as an Arrow table."""
        import pyarrow as pa

        whole = pa.table(self.arrays)
        return (
            whole.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else whole.take(pa.array(rows))
        )


def columns_of(native: Any, where: str) -> Columns:
    """
    Take in a pandas, Polars or Arrow table, a DuckDB relation, or an array of two dimensions.

    Raises
    ------
    DataError
        If it is none of them, or two columns have the same name.
    """
    if isinstance(native, np.ndarray):
        native = frames.to_arrow(native, where)[0]
    frame = native if isinstance(native, nw.DataFrame) else frames.eager(native, where)
    arrays, mixed = {}, {}
    for name in frame.columns:
        found = _array(frame[name])
        if isinstance(found, tuple):
            mixed[name] = found
        else:
            arrays[name] = found
    return Columns(arrays, int(frame.shape[0]), mixed)


def _array(series: Any) -> Any:
    """Return a column as one Arrow array; where its values are of several kinds, say so."""
    import pyarrow as pa

    try:
        array = series.to_arrow()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # pyarrow keeps an empty or huge column chunked
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _mixed(series.to_list())
    return array


def _mixed(given: list[Any]) -> tuple[int, str, str]:
    kinds = [type(value).__name__ for value in given]
    gaps = [value is None or value != value for value in given]  # noqa: PLR0124  NaN is not itself
    known = [kind for kind, gap in zip(kinds, gaps, strict=True) if not gap]
    rare = Counter(known).most_common()[-1][0]
    row = next(i for i, (kind, gap) in enumerate(zip(kinds, gaps, strict=True)) if kind == rare and not gap)
    words = " and ".join(sorted(set(known)))
    return row, repr(given[row])[:60], f"holds values of several kinds ({words})"


def missing_of(array: Any) -> Bools | None:
    """Return where an Arrow array is missing (null or NaN); None where nothing is."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        if not array.null_count and not array.dictionary.null_count:
            return None
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        gaps = np.isnan(floats(array))
    elif array.null_count:
        gaps = array.is_null().to_numpy(zero_copy_only=False)
    else:
        return None
    return np.asarray(gaps, dtype=bool) if gaps.any() else None


def floats(array: Any) -> Values:
    """Return a floating Arrow array as NumPy, gaps as NaN."""
    import pyarrow.compute as pc

    array = pc.cast(array, "float32") if array.type.bit_width == 16 else array
    return np.asarray(array.to_numpy(zero_copy_only=False))


def numbers_of(array: Any) -> Values:
    """
    Return numbers or truth values as NumPy: floats with NaN for gaps, integers as they are if there is no gap.

    Raises
    ------
    DataError
        If it holds something else.
    """
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        return numbers_of(array.dictionary_decode())
    if pa.types.is_floating(kind):
        return floats(array)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    if pa.types.is_decimal(kind) or pa.types.is_null(kind) or array.null_count:
        array = array.cast(pa.float64(), safe=False)
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise DataError(f"a column of {kind} holds no numbers.")
    return np.asarray(array.to_numpy(zero_copy_only=False))


def codes_of(array: Any) -> NDArray[np.int64]:
    """Return a code for each value, the same for equal ones; -1 where it is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    encoded = array.dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def kind_of(array: Any) -> str:
    """
    Return the kind of an Arrow array: that of a `Column`, or its Arrow type where there is no kind for it.

    Text is ``text``, whether it is short of values or not; a column without any value is ``empty``.
    """
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_ = pa.types
    if is_.is_null(kind):
        return "empty"
    if is_.is_boolean(kind):
        return "boolean"
    if is_.is_integer(kind):
        return "integer"
    if is_.is_floating(kind) or is_.is_decimal(kind):
        return "number"
    if is_.is_timestamp(kind) or is_.is_date(kind):
        return "time"
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
        return "text"
    return str(kind)


def shown(value: Any) -> str:
    """Write a value as a reader wants it: few digits, text in quotes."""
    plain = value.as_py() if hasattr(value, "as_py") else value.item() if isinstance(value, np.generic) else value
    if plain is None:
        return "missing"
    if isinstance(plain, float):
        return f"{plain:.6g}"
    if isinstance(plain, str):
        return repr(plain if len(plain) <= 40 else plain[:37] + "...")
    return f"{plain:,}" if isinstance(plain, int) and abs(plain) >= 10_000 else str(plain)
