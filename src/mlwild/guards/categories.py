"""Columns of categories: which there are, and in which order, as models may read their places."""

from __future__ import annotations

from typing import Any


def categories_of(column: Any) -> Any:
    """Return the categories of a column of an Arrow table, in their order, as an Arrow array."""
    import pyarrow as pa

    column = column.unify_dictionaries()
    return column.chunk(0).dictionary if column.num_chunks else pa.array([], column.type.value_type)


def coded(values: Any, words: Any, kind: Any) -> Any:
    """
    Return values as categories: the words that are known keep their places, new ones come last.

    Parameters
    ----------
    values : pyarrow.Array
    words : pyarrow.Array
        Categories that are known, in order.
    kind : pyarrow.DataType
        Of the categories.

    Examples
    --------
    >>> import pyarrow as pa
    >>> made = coded(pa.array(["b", "c"]), pa.array(["a", "b"]), pa.dictionary(pa.int8(), pa.string()))
    >>> made.indices.to_pylist(), made.dictionary.to_pylist()
    ([1, 2], ['a', 'b', 'c'])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.index_in(values, value_set=words)
    if codes.null_count != values.null_count:
        fresh = pc.unique(values.filter(pc.invert(pc.is_in(values, value_set=words))).drop_null())
        words = pa.concat_arrays([words, fresh])
        codes = pc.index_in(values, value_set=words)
    return pa.DictionaryArray.from_arrays(codes.cast(kind.index_type), words, ordered=kind.ordered)
