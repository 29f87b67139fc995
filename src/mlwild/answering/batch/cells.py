"""From cells of a file or of a frame to what a column holds; one that cannot be read is missing, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite, nan
from typing import Any

from mlwild.columns import DAY, Column, WrongValueError

#: Texts that stand for a missing value in a column that holds no text.
GAPS = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "NaT", "<NA>"})
#: Frames write the 1 and 0 of databases, with gaps, as 1.0 and 0.0.
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
#: Digits of a whole number of 64 bits.
_DIGITS = 20

#: Cells as a column holds them, and what is wrong with some, by row.
Read = tuple[list[Any], dict[int, str]]


def of_texts(column: Column, texts: Sequence[str | None]) -> Read:
    """
    Read the cells of a CSV column.

    Parameters
    ----------
    column : Column
    texts : sequence of str or None
        None where the row could not be read at all.

    Returns
    -------
    list
        Values as `Column.read` gives them; None where missing, or not to be read.
    dict of int to str
        Why a cell could not be read, by row.

    Examples
    --------
    >>> of_texts(Column("x", "number"), ["1.5", "", "high"])
    ([1.5, None, None], {2: 'needs a number'})
    >>> of_texts(Column("n", "integer", 0, 255), ["7.0", "NA", "256"])
    ([7, None, None], {2: 'needs a whole number of 0 to 255'})
    """
    if column.kind == "text":
        return each(column, [text or None for text in texts])
    if column.kind == "number":
        quick = _floats(texts)
        if quick is not None:
            return quick, {}
    return each(column, texts, _VALUES.get(column.kind, _said))


def each(column: Column, cells: Sequence[Any], value: Callable[[Any], Any] | None = None) -> Read:
    """Read cells one by one, each first turned into what JSON would have given."""
    made, wrong = [], {}
    for row, cell in enumerate(cells):
        try:
            given = cell if value is None or cell is None else value(cell)
            # NaN is how frames, and some writers of JSON, say that a value is missing.
            made.append(column.read(None if isinstance(given, float) and given != given else given))  # noqa: PLR0124
        except WrongValueError as problem:
            made.append(None)
            wrong[row] = str(problem)
    return made, wrong


def _floats(texts: Sequence[str | None]) -> list[float | None] | None:
    """Return plain numbers and gaps, the most of all columns, quickly; None where there is anything else."""
    try:
        made = [float(text) if text else None for text in texts]
    except ValueError:
        return None
    sound = all(one is None or isfinite(one) for one in made) and not any(text and "_" in text for text in texts)
    return made if sound else None


def _said(text: str) -> Any:
    return None if text in GAPS else text


def _number(text: str) -> Any:
    """Return a number; the text itself where it is none, for the column to refuse."""
    if text in GAPS:
        return None
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _whole(text: str) -> Any:
    if text in GAPS:
        return None
    try:
        return text if "_" in text else int(text)
    except ValueError:
        return _number(text)  # frames write whole numbers with gaps as 3.0


def _truth(text: str) -> Any:
    return None if text in GAPS else _TRUTHS.get(text.lower(), text)


_VALUES: dict[str, Callable[[str], Any]] = {"number": _number, "integer": _whole, "boolean": _truth}


_BITS = {0: False, 1: True}


def of_arrow(column: Column, array: Any) -> Read:
    """
    Read the cells of a typed column.

    Parameters
    ----------
    column : Column
    array : pyarrow.Array or ChunkedArray

    Returns
    -------
    list
    dict of int to str
        As of `of_texts`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> of_arrow(Column("x", "number"), pa.array([1, None, 3]))
    ([1.0, None, 3.0], {})
    >>> of_arrow(Column("x", "number"), pa.array(["a", None]))
    ([None, None], {0: 'needs a number'})
    >>> of_arrow(Column("x", "boolean"), pa.array([1.0, 0.0, None, float("nan"), 2.0]))
    ([True, False, None, None, None], {4: 'needs true or false'})
    """
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind, given = column.kind, array.type
    if kind == "number" and (pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)):
        return each(column, array.cast(pa.float64(), safe=False).to_pylist())
    if kind == "boolean" and (pa.types.is_integer(given) or pa.types.is_floating(given)):
        # Databases keep truth values so, and frames those with gaps.
        return each(column, [None if one != one else _BITS.get(one, one) for one in array.to_pylist()])  # noqa: PLR0124
    if pa.types.is_decimal(given):
        return each(column, [None if one is None else of_decimal(one) for one in array.to_pylist()])
    if pa.types.is_timestamp(given):
        micros = _micros(array)
        if kind == "time" and (given.tz is not None) == column.zoned:
            return _within(micros, column.far, column.beyond)
        if kind == "date" and given.tz is None and not any(one is not None and one % DAY for one in micros):
            return _within([None if one is None else one // DAY for one in micros], column.far // DAY, column.beyond)
        return each(column, array.cast(pa.string()).to_pylist())
    if pa.types.is_date(given):
        days = array.cast(pa.date32()).cast(pa.int32()).to_pylist()
        if kind == "date":
            return _within(days, column.far // DAY, column.beyond)
        if kind == "time" and not column.zoned:
            micros = [None if one is None else one * DAY for one in days]
            return _within(micros, column.far, column.beyond)
    return each(column, _cells(array))


def of_decimal(value: Decimal) -> int | float:
    """
    Return a number as JSON would have given it: databases hand out whole numbers so, too.

    Examples
    --------
    >>> of_decimal(Decimal("9007199254740993")), of_decimal(Decimal("0.5"))
    (9007199254740993, 0.5)
    """
    if not value.is_finite():
        return nan if value.is_nan() else float(value)
    # A number of a million digits is none that a column holds.
    return int(value) if value.adjusted() < _DIGITS and value == value.to_integral_value() else float(value)


def _cells(array: Any) -> list[Any]:
    """Return the values of a column; what Python cannot hold as it stands: no column of an app holds that."""
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:
        raise
    except (OverflowError, ValueError):  # a date after 9999, a span of a million years
        return [_cell(one) for one in array]


def _cell(one: Any) -> Any:
    try:
        return one.as_py()
    except (OverflowError, ValueError):
        return one


def _within(values: list[int | None], far: int, need: str) -> Read:
    """Take times for missing that the app's own tables could not hold."""
    wrong = {row: need for row, one in enumerate(values) if one is not None and abs(one) > far}
    return ([None if row in wrong else one for row, one in enumerate(values)] if wrong else values), wrong


def _micros(array: Any) -> list[int | None]:
    """Return microseconds since 1970; finer ones are cut, as a request cuts them."""
    import pyarrow as pa

    fine = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(array.type.unit)
    counted: list[int | None] = array.cast(pa.int64()).to_pylist()
    if fine is None:
        return [None if one is None else one // 1_000 for one in counted]
    return counted if fine == 1 else [None if one is None else one * fine for one in counted]
