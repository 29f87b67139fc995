"""Sign tables of a card: which model each way of adding up favours, as ready texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlwild.card.chart_rules import interval_bar
from mlwild.card.facts import known
from mlwild.card.svg import Scale
from mlwild.card.words import count, decimals_for, half_width, interval, number, percent
from mlwild.comparisons.signs import LESS_A_HALF, way

Row = dict[str, Any]
#: Half of a bar's width: each row has a scale of its own, since shares and losses are not of one unit.
HALF = 52.0


def sign_tables(tables: Sequence[Mapping[str, Any]]) -> list[Row]:
    """
    Return sign tables as ready texts, the strongest rival first.

    Parameters
    ----------
    tables : sequence of dict
        As `mlwild.comparisons` gives them.

    Returns
    -------
    list of dict
        One a rival: said, a, b, left and right (whom a bar to that side favours), n, level and rows.
    """
    return [_table(table) for table in tables]


def _table(table: Mapping[str, Any]) -> Row:
    lower = table["better"] == "lower"
    a, b, unit = table["a"], table["b"], table["unit"]
    return {
        "said": table.get("said"),
        "a": a,
        "b": b,
        "left": a if lower else b,
        "right": b if lower else a,
        "n": counted(table["n"], unit),
        "level": percent(table["level"]),
        "rows": [_row(row, table) for row in table["rows"]],
    }


def counted(n: float, unit: str) -> str:
    """
    Write a number of units; a block of rows is counted as blocks.

    Examples
    --------
    >>> counted(100, "block of 8 rows"), counted(1, "period")
    ('100 blocks of 8 rows', '1 period')
    """
    first, _, rest = unit.partition(" of ")
    return count(n, first) + (f" of {rest}" if rest else "")


def _row(row: Mapping[str, Any], table: Mapping[str, Any]) -> Row:
    estimate, low, high = row["estimate"], row["low"], row["high"]
    unit = table["unit"].split(" of ")[0]
    clear = row["separable"] or row["favours"] == "neither"
    made: Row = {
        "way": way(row["metric"], unit),
        "favours": row["favours"],
        "sure": clear,
        "bar": _bar(estimate, low, high, clear=row["separable"]),
    }
    if row["metric"] in LESS_A_HALF:
        # Back to the share that the first one wins; of losses its sign was turned.
        sign = -1 if table["better"] == "lower" else 1
        ends = sorted(0.5 + sign * end for end in (low, high)) if known(low) and known(high) else [None, None]
        inside = [None if end is None else min(max(end, 0.0), 1.0) for end in ends]
        made["value"] = f"{table['a']}: {percent(0.5 + sign * estimate)}"
        made["bounds"] = (
            "interval not known" if inside[0] is None else f"{percent(inside[0])} to {percent(inside[1] or 0.0)}"
        )
        return made
    decimals = decimals_for(half_width(low, high) or estimate or 0.0, 2)
    made["value"] = number(estimate, decimals, signed=True)
    made["bounds"] = interval(low, high, decimals, signed=True)
    return made


def _bar(estimate: float, low: float | None, high: float | None, *, clear: bool) -> Any:
    ends = [abs(value) for value in (estimate, low, high) if value is not None and known(value)]
    most = max(ends, default=0.0) or 1.0
    scale = Scale(-most, most, 7.0, 2 * HALF + 7.0)
    return interval_bar((estimate, low, high), scale, name="chosen" if clear else "")
