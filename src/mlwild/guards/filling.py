"""What stands where a value cannot be used: nothing, what is usual, or what the rest of its row leads one to expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.contracts.tables import kind_of
from mlwild.guards.categories import categories_of, coded
from mlwild.guards.encoding import NUMBERS, Encoding
from mlwild.stats.discriminant import Discriminant, learn_discriminant
from mlwild.stats.imputer import Imputer, learn_imputer

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: The ways, the plainest first.
FILLS = MISSING, USUAL, IMPUTED = "missing", "usual", "imputed"
#: Rows that it takes to learn what features tell of each other, and the most that are used, evenly spaced.
FEWEST, MOST = 50, 20_000
#: Greatest and least number that is looked at.
_FARTHEST = 1e150


@dataclass(frozen=True, eq=False)
class Filler:
    """
    What may stand where values cannot be used.

    Parameters
    ----------
    encoding : Encoding
    usual : mapping of str to value
        The median of each feature, or its most frequent value; None where there is none.
    imputer : Imputer, optional
        What features tell of each other; None where too few rows show it, or there is one feature alone.
    words : mapping of str to Discriminant
        What the normal scores of the others tell of each column of words.
    categories : mapping of str to pyarrow.Array
        Of each column of categories, those that were learned from, in order: models may read their places.
    """

    encoding: Encoding
    usual: Mapping[str, Any]
    imputer: Imputer | None = None
    words: Mapping[str, Discriminant] = field(default_factory=dict)
    categories: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ways(self) -> tuple[str, ...]:
        """Those of `FILLS` that there are."""
        return FILLS if self.imputer is not None else FILLS[:2]

    def unsaid(self, names: Sequence[str]) -> dict[str, float]:
        """Return how much of what others say of each feature they do not say without each other, from 0 to 1."""
        left = [self.encoding.names.index(name) for name in names]
        shares = [1.0] * len(left) if self.imputer is None else self.imputer.unsaid(left)
        fields = [self.encoding.schema.field(name) for name in names]
        pairs = zip(names, fields, shares, strict=True)
        return {name: share if kind_of(field) in NUMBERS else 1.0 for name, field, share in pairs}

    def filled(self, table: Any, rows: Floats, gaps: Bools, fill: str) -> Any:
        """
        Return features in which some cells hold another value.

        Times are not guessed from others, nor words that are too seldom the same: their usual value stands for them.

        Parameters
        ----------
        table : pyarrow.Table of n_rows
        rows : ndarray of shape (n_rows, n_features)
            The same as numbers.
        gaps : ndarray of bool, shape (n_rows, n_features)
            The cells.
        fill : str
            One of `ways`.

        Examples
        --------
        >>> import pyarrow as pa
        >>> table = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 0.5]})
        >>> filler = Filler(Encoding.of(table, "pyarrow"), {"a": 7, "b": "x", "c": 0.5})
        >>> gaps = np.array([[True, False, True], [False, True, True]])
        >>> rows = filler.encoding.matrix(table)[0]
        >>> filler.filled(table, rows, gaps, "missing").to_pydict()
        {'a': [None, 2], 'b': ['x', None], 'c': [None, None]}
        >>> filler.filled(table, rows, gaps, "usual").to_pydict()
        {'a': [7, 2], 'b': ['x', 'x'], 'c': [0.5, 0.5]}
        """
        fills = {} if fill == MISSING else self.usual
        guessed = None
        if fill == IMPUTED and self.imputer is not None:
            guessed = self.imputer.filled(rows, gaps)
        made = []
        for place, column in enumerate(self.encoding.schema):
            gone, name = gaps[:, place], column.name
            value = fills.get(name)
            if guessed is not None and gone.any():
                if name in self.words:
                    value = self._words(name, place, rows, gaps)
                elif kind_of(column) in NUMBERS:
                    value = guessed[:, place]
            if not gone.any():
                made.append(table.column(name))
                continue
            new = _put(table, column, gone, value)
            made.append(coded(_whole(new), self.categories[name], column.type) if name in self.categories else new)
        return type(table).from_arrays(made, names=list(self.encoding.names))

    def _words(self, name: str, place: int, rows: Floats, gaps: Bools) -> list[str | None]:
        """Return the likeliest words where some are to be put; what stands elsewhere is not looked at."""
        assert self.imputer is not None
        gone = np.flatnonzero(gaps[:, place])
        found = self.words[name].likeliest(_scored(self.imputer, np.where(gaps[gone], np.nan, rows[gone]), place))
        words = {code: word for word, code in self.encoding.words[name].items()}
        made: list[str | None] = [None] * len(rows)
        for row, code in zip(gone.tolist(), found.tolist(), strict=True):
            made[row] = words[int(code)]
        return made


def _scored(imputer: Imputer, rows: Floats, place: int) -> Floats:
    """Return the normal scores of all columns but one, NaN where a value is not known."""
    known = np.isfinite(rows)
    known[:, place] = False
    scores = imputer.scorer.mapped(np.where(known, rows, np.nan))[0].T
    return np.where(known, scores, np.nan)


def _put(table: Any, field: Any, gone: Bools, value: Any) -> Any:
    """Return a column in which some cells hold a value, or each its own; None for a missing one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole, plain = bool(gone.all()), _plain(field.type)
    column = None if whole else table.column(field.name)
    wide = plain if column is None else _room(column.type, plain)
    if value is None:
        new: Any = pa.nulls(len(gone), wide)
    elif isinstance(value, np.ndarray):
        new = _numbers(value, gone, wide)
    elif isinstance(value, list):
        new = pa.array(value).cast(wide)
    else:
        new = pa.array([value] * len(gone)).cast(wide)
    if column is not None:
        # What is to go need not be of the kind: words in a column of numbers, beside gaps that were there before.
        kept = pc.if_else(pa.array(gone), pa.scalar(None, column.type), column).cast(wide, safe=False)
        new = pc.if_else(pa.array(gone), new, kept)
    return new.cast(plain, safe=False) if plain is not field.type else new


def _whole(column: Any) -> Any:
    """Return a column as one array."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _room(kind: Any, learned: Any) -> Any:
    """Return the kind of column that has room for what stands there and for what is put beside it."""
    import pyarrow as pa

    is_ = pa.types
    if is_.is_floating(kind):
        return kind
    if is_.is_integer(kind) and is_.is_integer(learned) and kind.bit_width > learned.bit_width:
        return pa.int64() if is_.is_signed_integer(learned) else kind
    return learned


def _numbers(values: Floats, gone: Bools, kind: Any) -> Any:
    """Return guessed numbers as a column of a kind: whole ones are rounded, truth is half and more."""
    import pyarrow as pa

    known = gone & np.isfinite(values)
    values = np.where(known, values, 0.0)
    if pa.types.is_boolean(kind):
        return pa.array(values >= 0.5, mask=~known)
    if pa.types.is_integer(kind):
        ends = np.iinfo(kind.to_pandas_dtype())
        # As a number with a point the greatest of 64 bits is one too many, and would come back as the least.
        high = float(ends.max) if int(float(ends.max)) <= ends.max else np.nextafter(float(ends.max), 0.0)
        values = np.clip(np.round(values), float(ends.min), high)
    return pa.array(values, mask=~known).cast(kind, safe=False)


def _plain(kind: Any) -> Any:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def learn_filler(encoding: Encoding, learned: Any) -> Filler:
    """
    Learn what is usual, and what features tell of each other.

    Parameters
    ----------
    encoding : Encoding
    learned : pyarrow.Table of n_rows
        Features that models learned from.
    """
    import pyarrow as pa

    usual = {name: _usual(learned.column(name)) for name in encoding.names}
    sorts = [one.name for one in encoding.schema if pa.types.is_dictionary(one.type)]
    categories = {name: categories_of(learned.column(name)) for name in sorts}
    n = learned.num_rows
    if n < FEWEST or len(encoding.names) < 2:
        return Filler(encoding, usual, categories=categories)
    picked = np.linspace(0, n - 1, min(n, MOST)).round().astype(np.int64)
    rows = encoding.matrix(learned.take(picked))[0]
    rows[~(np.abs(rows) < _FARTHEST)] = np.nan
    imputer = learn_imputer(rows)
    words: dict[str, Discriminant] = {}
    for place, name in enumerate(encoding.names):
        if name in encoding.words:
            made = learn_discriminant(_scored(imputer, rows, place), rows[:, place])
            words.update({} if made is None else {name: made})
    return Filler(encoding, usual, imputer, words, categories)


def _usual(column: Any) -> Any:
    """Return the median of a column, or its most frequent value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = column.drop_null()
    kind = column.type
    if pa.types.is_floating(kind):
        column = column.filter(pc.is_finite(column))
    if not len(column):
        return None
    if pa.types.is_decimal(kind):
        column = column.sort()
        return column[(len(column) - 1) // 2].as_py()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        column = column.cast(pa.float32()) if pa.types.is_float16(kind) else column
        return pc.quantile(column, q=0.5, interpolation="lower")[0].as_py()
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    counted = column.value_counts().to_pylist()
    return max(counted, key=lambda one: (one["counts"], one["values"]))["values"]
