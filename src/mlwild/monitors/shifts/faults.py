"""Faults of data that look like a shift: another unit, a turned sign, a stuck value, swapped columns, rows twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.digest import row_hashes
from mlwild.monitors.shifts.read import Pair, Tables
from mlwild.stats.slips import DEGREES, likely_units, longest_run
from mlwild.stats.sorted_columns import kolmogorov_smirnov
from mlwild.wording import number

Floats = NDArray[np.float64]

#: A column must have moved by so much (KS) before a fault is looked for, and so little be left once it is undone.
MOVED, LEFT = 0.15, 0.05
#: Rows of a column that are looked at, evenly spaced.
MOST_ROWS = 20_000
#: Fewest values on either side that a fault is named from.
FEWEST = 50
#: Columns that are tried for a swap with each other.
MOST_SWAPPED = 12


@dataclass(frozen=True)
class Fault:
    """
    A fault of the data, and what shows it.

    Parameters
    ----------
    fault : str
        ``unit slip``, ``sign flip``, ``stuck value``, ``columns swapped`` or ``rows doubled``.
    columns : tuple of str
    said : str
        In a sentence.
    """

    fault: str
    columns: tuple[str, ...]
    said: str


def find_faults(tables: Tables, rows: Sequence[dict[str, Any]]) -> tuple[Fault, ...]:
    """
    Look for faults in the columns that moved.

    A fault is named only where undoing it brings the column back to the reference.

    Parameters
    ----------
    tables : Tables
    rows : sequence of dict
        The records of the columns; those of numbers that moved are looked at.
    """
    names = [
        row["name"]
        for row in rows
        if row["moved"] and row["kind"] == "numbers" and row["ks"] is not None and row["ks"] > MOVED
    ]
    sides = {name: _sides(tables.pair(name)) for name in names[:50]}
    made = []
    for name, (old, new) in sides.items():
        if min(len(old), len(new)) >= FEWEST and _far(old, new):
            found = _stuck(name, tables.pair(name)) or _sign(name, old, new) or _unit(name, old, new)
            if found is not None:
                made.append(found)
    told = {column for fault in made for column in fault.columns}
    return (*made, *_swapped({name: side for name, side in sides.items() if name not in told}))


def _sides(pair: Pair) -> tuple[Floats, Floats]:
    """Return the sorted values of both sides, thinned."""
    made = []
    for values in (pair.reference, pair.window):
        known = np.asarray(values, dtype=np.float64)
        known = np.sort(known[np.isfinite(known)])
        if len(known) > MOST_ROWS:
            known = known[np.linspace(0, len(known) - 1, MOST_ROWS).astype(np.int64)]
        made.append(known)
    return made[0], made[1]


def _apart(old: Floats, new: Floats) -> float:
    return kolmogorov_smirnov(old, new)[0]


def _noise(old: Floats, new: Floats) -> float:
    """Return the distance that chance alone leaves, seldom exceeded."""
    return 1.95 * float(np.sqrt(1 / len(old) + 1 / len(new)))


def _far(old: Floats, new: Floats) -> bool:
    """Say whether there is so much of a shift that undoing it would show."""
    return _apart(old, new) > 2 * max(LEFT, _noise(old, new))


def _back(old: Floats, new: Floats) -> bool:
    return _apart(old, new) < max(LEFT, _noise(old, new))


def _sign(name: str, old: Floats, new: Floats) -> Fault | None:
    if _back(old, -new[::-1]):
        return Fault("sign flip", (name,), f"{name!r} has its sign turned round: with it turned back nothing is left.")
    return None


def _unit(name: str, old: Floats, new: Floats) -> Fault | None:
    for words, shift, slope in DEGREES:
        back = (new + shift) * slope
        if _back(old, back) and not _back(old, new * (np.median(old) / np.median(new) if np.median(new) else 1.0)):
            return Fault("unit slip", (name,), f"{name!r} seems to be in {words}: converted back nothing is left.")
    whole = _factor(old, new)
    if whole is not None:
        return Fault("unit slip", (name,), f"{name!r} seems to be {whole} its old unit, in every row.")
    # A part of the rows only: those that lie outside what was seen before.
    outside = new[(new < old[0]) | (new > old[-1])]
    share = len(outside) / len(new)
    if 0.02 < share < 0.98 and len(outside) >= FEWEST:
        part = _factor(old, outside, exact=True)
        inside = new[(new >= old[0]) & (new <= old[-1])]
        if part is not None and _back(old, inside):
            return Fault("unit slip", (name,), f"{name!r} seems to be {part} its old unit in {share:.0%} of the rows.")
    return None


def _factor(old: Floats, new: Floats, *, exact: bool = False) -> str | None:
    """Return by which factor between units the values grew or shrank, in words; None where none fits."""
    places = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    before, after = np.quantile(old, places), np.quantile(new, places)
    usable = np.abs(before) > 1e-12 * max(np.abs(before).max(), 1e-300)
    if not usable.any():
        return None
    ratio = float(np.median(after[usable] / before[usable]))
    if ratio <= 0 or 1 / 1.4 < ratio < 1.4:
        return None
    for factor, words in likely_units(ratio):
        if _back(old, new / factor):
            return words
    if not exact and (ratio > 4 or ratio < 0.25) and _back(old, new / ratio):
        return f"{number(ratio, 2)} times"
    return None


def _stuck(name: str, pair: Pair) -> Fault | None:
    """Name a value that stands still for far longer than it ever did."""
    old, new = (np.asarray(values, dtype=np.float64) for values in (pair.reference, pair.window))
    before, (run, place) = longest_run(old)[0], longest_run(new)
    if run >= max(20, 0.1 * len(new)) and run > 3 * before * max(1.0, len(new) / len(old)):
        where = f"for {run:,} rows on end ({run / len(new):.0%} of the window)"
        said = f"{name!r} stands at {number(float(new[place]), 4)} {where}."
        return Fault("stuck value", (name,), said)
    return None


def _swapped(sides: dict[str, tuple[Floats, Floats]]) -> list[Fault]:
    names = [name for name, (old, new) in sides.items() if min(len(old), len(new)) >= FEWEST][:MOST_SWAPPED]
    made, taken = [], set[str]()
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            (old, new), (old_other, new_other) = sides[one], sides[other]
            unlike = _apart(old, old_other) > 2 * MOVED
            if unlike and not taken & {one, other} and _back(old_other, new) and _back(old, new_other):
                taken |= {one, other}
                made.append(
                    Fault(
                        "columns swapped",
                        (one, other),
                        f"{one!r} and {other!r} hold each other's values: swapped back nothing is left.",
                    )
                )
    return made


def doubled_rows(tables: Tables) -> tuple[Fault, ...]:
    """Name rows of the window that are there twice, where the reference's hardly ever were."""
    before, after = (_share_doubled(table) for table in (tables.reference, tables.window))
    if after > 0.02 and after > 3 * before + 0.01:
        said = f"{after:.0%} of the window's rows are there more than once ({before:.1%} before): a batch came twice."
        return (Fault("rows doubled", (), said),)
    return ()


def _share_doubled(table: Any) -> float:
    """Return the share of rows that repeat an earlier one: candidates by a few columns, then by all."""
    import pyarrow as pa

    telling = [name for name in table.column_names if pa.types.is_floating(table[name].type)][:3]
    if not telling:
        hashes = row_hashes(table)
        return 1 - len(np.unique(hashes)) / len(hashes)
    mixed = np.zeros(table.num_rows)
    for place, name in enumerate(telling):
        mixed += np.nan_to_num(np.asarray(table[name].to_numpy(), dtype=np.float64)) * (1.0 + 0.618034 * place)
    order = np.argsort(mixed)
    same = np.append(False, mixed[order][1:] == mixed[order][:-1])
    candidates = np.unique(np.concatenate([order[same], order[np.flatnonzero(same) - 1]]))
    if len(candidates) < 2:
        return 0.0
    import pyarrow.compute

    hashes = row_hashes(table.take(pa.array(np.sort(candidates))))
    return float(len(hashes) - len(np.unique(hashes))) / int(table.num_rows)
