"""Hold a table against a contract: what breaks it, where, by which value, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlwild.contracts import checks
from mlwild.contracts.finding import Spot, Violation
from mlwild.contracts.periods import Periods, cut, one_period, times_of
from mlwild.contracts.statistics import measured
from mlwild.contracts.tables import Columns, codes_of, columns_of, kind_of
from mlwild.contracts.terms import Contract, Statistic, Terms
from mlwild.errors import AppError, DataError
from mlwild.wording import number


@dataclass(frozen=True, eq=False)
class Held:
    """
    A table held against a contract.

    Parameters
    ----------
    violations : tuple of Violation
        What breaks the contract, in the order of its columns.
    rows, periods : int
        How much was looked at; statistics are judged in whole periods only.
    """

    violations: tuple[Violation, ...]
    rows: int
    periods: int


def violations(contract: Contract, data: Any, features: Any = None) -> tuple[Violation, ...]:
    """
    Return what breaks a contract: nothing, if all holds.

    Parameters
    ----------
    contract : Contract
    data : pandas, Polars or Arrow table, or DuckDB relation, of n_rows
        In any order of rows.
    features : table or ndarray of n_rows, optional
        Row for row with `data`; held against ``contract.features``.

    Returns
    -------
    tuple of Violation
        Rows are numbered from 0 in the order of the table.

    Raises
    ------
    DataError
        If something is no table, or features and data differ in their number of rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from mlwild.contracts import Column, Terms
    >>> contract = Contract(Terms({"power": Column("number", unit="kW", low=0.0, high=50.0)}))
    >>> violations(contract, pa.table({"power": [3.0, 4.0]}))
    ()
    >>> print(violations(contract, pa.table({"power": [3.0, 4.0, -7.0]}))[0].said)
    data: column 'power' is -7 in row 2, below 0 kW; 1 of 3 rows. Correct it, or change `low` of [data.columns.power].
    """
    return hold(contract, data, features).violations


def hold(contract: Contract, data: Any, features: Any = None) -> Held:
    """Hold a table against a contract, and say how much was looked at; see `violations`."""
    table = columns_of(data, "data")
    periods = _periods(contract, table)
    made = list(_broken(contract.data, table, periods, "data"))
    if features is not None and contract.features is not None:
        other = columns_of(features, "features")
        if other.n != table.n:
            raise DataError(f"features: there are {other.n} rows, and {table.n} of the data. Give one for each.")
        made += _broken(contract.features, other, periods, "features")
    return Held(tuple(made), table.n, 0 if periods is None else len(periods))


def _periods(contract: Contract, table: Columns) -> Periods | None:
    """Return the whole periods; None where the times cannot be read, which is a violation of its own."""
    if contract.time is None:
        return one_period(table.n)
    array = table.arrays.get(contract.time)
    if array is None or kind_of(array) not in ("time", "integer") or contract.every is None:
        return None
    times, clock = times_of(array, contract.time)
    try:
        return cut(times, clock, contract.every, contract.start, min_rows=contract.min_rows)
    except AppError as problem:
        raise AppError(f"contract: {problem}") from problem


def _broken(terms: Terms, table: Columns, periods: Periods | None, where: str) -> Iterator[Violation]:
    if not table.n:
        yield Violation(where, None, "rows", f"{where}: the table has no row. Point it at data that hold some.", 0, 0.0)
        return
    yield from _names(terms, table, where)
    for name, column in terms.columns.items():
        spot = Spot(where, name, table.n, column.unit)
        if name in table.mixed:
            row, value, said = table.mixed[name]
            yield spot.at("kind", row, 1, f"{said}, {value} in row {row}. Read it as one kind.", value=value)
        elif name in table.arrays:
            yield from checks.column(spot, column, table.arrays[name], periods)
    if terms.key and all(name in table.arrays for name in terms.key):
        codes = np.stack([codes_of(table.arrays[name]) for name in terms.key], axis=1)
        spot = Spot(where, " + ".join(terms.key), table.n)
        yield from checks.repeated(spot, np.unique(codes, axis=0, return_inverse=True)[1].ravel(), "key", f"[{where}]")
    for statistic in terms.statistics:
        if periods is not None and (not statistic.of or statistic.of in table.arrays):
            yield from _statistic(statistic, table, periods, where)


def _names(terms: Terms, table: Columns, where: str) -> Iterator[Violation]:
    extra = [name for name in table.names if name not in terms.columns]
    for name, column in terms.columns.items():
        if name in table.names or column.most_missing == 1:
            continue
        near = difflib.get_close_matches(name.lower(), [other.lower() for other in extra], n=1)
        called = next((other for other in extra if near and other.lower() == near[0]), None)
        hint = f" Is it {called!r} now?" if called else ""
        said = f"{where}: column {name!r} is gone.{hint} Bring it back, or take [{where}.columns.{name}] out."
        yield Violation(where, name, "gone", said, table.n, 1.0)
    if terms.extra == "refuse":
        for name in extra:
            said = (
                f'{where}: column {name!r} is not in the contract. Add it there, drop it, or write extra = "allow" '
                f"in [{where}]."
            )
            yield Violation(where, name, "extra", said, table.n, 1.0)


def _statistic(statistic: Statistic, table: Columns, periods: Periods, where: str) -> Iterator[Violation]:
    try:
        values, missing = measured(statistic, table, periods)
    except DataError as problem:
        yield Violation(where, statistic.of or None, "statistic", f"{where}: {problem}", table.n, 1.0)
        return
    low = -np.inf if statistic.low is None else statistic.low
    high = np.inf if statistic.high is None else statistic.high
    judged = missing <= statistic.most_missing
    if statistic.measure != "rows_per_period":
        judged &= periods.judged
    bad = np.flatnonzero(judged & ~((values >= low) & (values <= high)))  # NaN is never inside
    if not len(bad):
        return
    first = int(bad[0])
    when, value = periods.names[first], float(values[first])
    limit = f"below {number(low)}" if value < low else f"above {number(high)}"
    found = f"is {number(value, 6)}, {limit}" if np.isfinite(value) else "cannot be made: there is no value"
    in_period = f" in the period from {when}" if when else ""
    many = f"; {len(bad)} of {int(judged.sum())} periods" if len(periods) > 1 else ""
    said = (
        f"{where}: {statistic.name} {found}{in_period}{many}. Look at what became of these rows, or change its entry "
        f"in `statistics` of [{where}]."
    )
    share = len(bad) / max(int(judged.sum()), 1)
    yield Violation(
        where, statistic.of or None, "statistic", said, len(bad), share, None, number(value, 6), when or None
    )
