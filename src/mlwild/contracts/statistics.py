"""Statistics of the rows of a period."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.contracts.periods import Periods
from mlwild.contracts.tables import Columns, codes_of, kind_of, missing_of, numbers_of
from mlwild.contracts.terms import Statistic, function_of
from mlwild.errors import DataError

Floats = NDArray[np.float64]


def measured(statistic: Statistic, table: Columns, periods: Periods) -> tuple[Floats, Floats]:
    """
    Return a statistic of each period, and the share of its rows that were missing.

    Returns
    -------
    values : ndarray of float64, shape (n_periods,)
        NaN where a period has no value to make it of.
    missing : ndarray of float64, shape (n_periods,)
        1 where it has no row.

    Raises
    ------
    DataError
        If the column holds no numbers, or your function returns none.

    Examples
    --------
    >>> from mlwild.contracts.periods import one_period
    >>> from mlwild.contracts.tables import columns_of
    >>> table = columns_of(np.array([[1.0], [3.0], [np.nan], [4.0]]), "data")
    >>> [values.tolist() for values in measured(Statistic("mean", of="x0", low=0), table, one_period(4))]
    [[2.67], [0.25]]
    """
    if statistic.measure == "rows_per_period":
        return periods.rows.astype(np.float64), np.zeros(len(periods))
    if not statistic.of:
        function = function_of(statistic.measure)
        own = [_number(statistic, function(table.table(rows))) for _, rows in periods]
        return np.array(own, dtype=np.float64), np.zeros(len(periods))
    array = table.arrays[statistic.of]
    gaps = missing_of(array)
    values = _values(statistic, array)
    made, shares = np.full(len(periods), np.nan), np.ones(len(periods))
    for place, (_, rows) in enumerate(periods):
        part = values[rows]
        if gaps is not None:
            part = part[~gaps[rows]]
        if len(part):
            shares[place] = 1 - len(part) / len(values[rows])
        if part.dtype.kind == "f":  # infinite ones are told by themselves
            part = part[np.isfinite(part)]
        if len(part):
            made[place] = _measure(statistic, part)
    return made, shares


def _values(statistic: Statistic, array: Any) -> NDArray[Any]:
    if statistic.measure == "share_distinct":
        return codes_of(array)
    if kind_of(array) in ("number", "integer", "boolean", "empty"):
        return numbers_of(array)
    if ":" in statistic.measure:
        return np.asarray(array.to_numpy(zero_copy_only=False))
    raise DataError(f"{statistic.name}: the column holds {kind_of(array)}, not numbers.")


def _measure(statistic: Statistic, values: NDArray[Any]) -> float:
    if statistic.level is not None:
        return float(np.quantile(values, statistic.level))
    match statistic.measure:
        case "mean":
            return float(values.mean(dtype=np.float64))
        case "std":
            return float(values.std(dtype=np.float64))
        case "share_zero":
            return float((values == 0).mean())
        case "share_distinct":
            return len(np.unique(values)) / len(values)
    return _number(statistic, function_of(statistic.measure)(values))


def _number(statistic: Statistic, made: Any) -> float:
    try:
        return float(made)
    except (TypeError, ValueError) as problem:
        raise DataError(f"{statistic.measure}: returned {made!r}, which is not a number.") from problem
