"""Rows as they were given: columns as the app's service reads them, and what could not be read of each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlwild.answering.batch.cells import Read
from mlwild.answering.service import Answered
from mlwild.clock import Clock, now_seconds
from mlwild.columns import Column, Columns

#: Microseconds that an event may lie ahead of the beginning: clocks differ, and a day may have begun elsewhere.
AHEAD = 86_400_000_000
#: Cells that a cause names.
NAMED = 3


@dataclass(frozen=True, eq=False)
class Given:
    """
    Some rows.

    Parameters
    ----------
    columns : dict of str to list
        Of the app's data, as `Column.read` gives them; missing where they could not be read.
    n : int
    why : list of str
        What could not be read of each row; empty where all could.
    told : dict of str to list
        Key and time as they were given: a time that was filled in is missing here.
    """

    columns: dict[str, list[Any]]
    n: int
    why: list[str]
    told: dict[str, list[Any]] = field(default_factory=dict)


def given(
    columns: Columns, n: int, cells: Callable[[Column], Read | None], rows: Mapping[int, str], began: int | None
) -> Given:
    """
    Put rows together.

    Parameters
    ----------
    columns : Columns
        What the service reads.
    n : int
        Number of rows.
    cells : callable
        Returns what a column holds; None where it is not there.
    rows : mapping of int to str
        What is wrong with a row as a whole.
    began : int or None
        The instant that stands for a missing time, in microseconds; None where times are integers.

    Returns
    -------
    Given
    """
    lists: dict[str, list[Any]] = {}
    wrong: list[list[str]] = [[] for _ in range(n)]
    for row, said in rows.items():
        wrong[row].append(said)
    absent = []
    for column in columns.needed:
        read = cells(column)
        if read is None:
            lists[column.name] = [None] * n
            if column.name not in (columns.time, columns.key):
                absent.append(column.name)
            continue
        lists[column.name], bad = read
        for row, said in bad.items():
            wrong[row].append(f"{column.name} {said}")
    told = {name: list(lists[name]) for name in (columns.key, columns.time) if name is not None and name in lists}
    _fill_in(columns, lists, wrong, told, began)
    if absent:
        for one in wrong:
            one.append(f"absent: {', '.join(absent)}")
    return Given(lists, n, [_sentence(one) for one in wrong], told)


def _fill_in(
    columns: Columns,
    lists: dict[str, list[Any]],
    wrong: list[list[str]],
    told: dict[str, list[Any]],
    began: int | None,
) -> None:
    """Give the beginning as the time of rows that have none, or one in the future."""
    name = columns.time
    if name not in lists:
        return
    day = next(one for one in columns.needed if one.name == name).kind == "date"
    here = None if began is None else began // AHEAD if day else began
    for row, value in enumerate(lists[name]):
        if here is None:
            if value is None and not wrong[row]:
                wrong[row].append(f"{name} is missing")
        elif value is None:
            lists[name][row] = here
        elif value > here + (1 if day else AHEAD):
            lists[name][row] = here
            told[name][row] = None
            wrong[row].append(f"{name} lies more than a day in the future")


def _sentence(parts: Sequence[str]) -> str:
    more = f"; and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return "; ".join(parts[:NAMED]) + more


def began_of(clock: str) -> int | None:
    """Return the present as a time column counts it, in microseconds; None where that holds integers."""
    if clock == "tick":
        return None
    return int(now_seconds() * 1e6) if clock == "instant" else Clock("naive").now() // 1000


def noted(rows: Given, made: Answered) -> tuple[list[str], list[str]]:
    """Return status and cause of each row: what could not be read is told, and such a row is not normal."""
    status, cause = list(made.status), list(made.cause)
    for row, why in enumerate(rows.why):
        if why:
            status[row] = "degraded" if status[row] == "normal" else status[row]
            cause[row] = f"{cause[row]}; {why}" if cause[row] else why
    return status, cause
