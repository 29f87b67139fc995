"""Conjunctions of bins, level by level: exact counts of all that could matter, and few others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.slices.best import Best
from mlwild.stats.slices.rows import Floats, Ints, Mask, Rows
from mlwild.stats.slices.scores import Score

#: Features, as their places in the search.
Columns = tuple[int, ...]

#: Cells of one table, at most: some 400 MB.
MOST_CELLS = 1 << 23
#: What rounding may take off a bound, of its size.
SLACK = 1e-10
#: Share of the rows up to which those of the promising cells are copied.
WORTH = 0.5


@dataclass(frozen=True, eq=False)
class Counts:
    """
    What cells hold.

    Parameters
    ----------
    sizes, sums, maxima : ndarray of one shape
        Rows, sum of errors, and an error that none of theirs exceeds.
    """

    sizes: Floats
    sums: Floats
    maxima: Floats

    def at(self, where: NDArray[np.generic] | tuple[Ints, ...]) -> Counts:
        """Return those of some cells."""
        return Counts(self.sizes[where], self.sums[where], self.maxima[where])

    def where(self, real: Mask) -> Counts:
        """Return zero for all other cells."""
        return Counts(*(np.where(real, values, 0.0) for values in (self.sizes, self.sums, self.maxima)))

    def least(self, other: Counts) -> Counts:
        """Return what cells that lie in both can hold at most."""
        return Counts(
            np.minimum(self.sizes, other.sizes),
            np.minimum(self.sums, other.sums),
            np.minimum(self.maxima, other.maxima),
        )


@dataclass(frozen=True, eq=False)
class Table:
    """
    The conjunctions of one bin of each of some features.

    Parameters
    ----------
    columns : tuple of int
    cells : ndarray of shape (n_cells, n_columns)
        Place of each feature's bin, in lexicographic order.
    counts : Counts of shape (n_cells,)
    grid : Counts of shape (n_cells of the table without the last feature, n_bins of the last feature)
        The same; zero where there is no cell.
    """

    columns: Columns
    cells: Ints
    counts: Counts
    grid: Counts


@dataclass(frozen=True)
class _Part:
    """The rows (None: all) in a table's cells; place of each one's cell, or the number of cells, times the width."""

    rows: Ints | None
    base: Ints


def search(rows: Rows, score: Score, *, k: int, levels: int) -> tuple[Best, int]:
    """
    Return the k best conjunctions of at most so many bins, and how many were counted.

    Level by level, one table for each set of features: its conjunctions are all counted in one pass over the
    rows of the table without the last feature. A conjunction holds no more rows, no greater sum of errors and
    no greater error than any with one bin less; where these limits allow no score among the k best it is not
    promising, nor is any within it, and a table without a promising cell is not counted.

    Parameters
    ----------
    rows : Rows
    score : Score
    k : int
    levels : int
        At least 1.

    Raises
    ------
    DataError
        If a table would be too large to count.

    Examples
    --------
    >>> from mlwild.stats.slices.rows import prepared
    >>> from mlwild.stats.slices.scores import SliceLineScore
    >>> rows = prepared(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 0.0, 0.0, 1.0]), support=1)
    >>> best, counted = search(rows, SliceLineScore(alpha=0.9, n=4.0, mean=0.25), k=1, levels=2)
    >>> best.ranked(rows)[0][0].conditions, counted
    (((0, 1), (1, 1)), 5)
    """
    found, counted = _Search(rows, score, Best(k, score.floor), levels), 0
    for level in range(1, levels + 1):
        for prefix in [table for table in found.tables.values() if len(table.columns) == level - 1]:
            last = prefix.columns[-1] if prefix.columns else -1
            for column in range(last + 1, len(rows.columns)):
                counted += found.extend(prefix, column)
    return found.best, counted


class _Search:
    """A search under way: the tables so far, and the rows of the last one with those it was made from."""

    def __init__(self, rows: Rows, score: Score, best: Best, levels: int) -> None:
        self.rows, self.score, self.best, self.levels = rows, score, best, levels
        whole = Counts(np.array([rows.total]), np.array([rows.masses.sum()]), np.array([rows.errors.max()]))
        self.tables: dict[Columns, Table] = {(): Table((), np.zeros((1, 0), np.int64), whole, whole)}
        self._parts: dict[Columns, _Part] = {(): _Part(None, np.zeros(len(rows.errors), np.int64))}
        self._room = np.empty(len(rows.errors), np.int64)

    def extend(self, prefix: Table, column: int) -> int:
        """Count the table with one more feature, if it can hold anything; return the number of promising cells."""
        columns, level = (*prefix.columns, column), len(prefix.columns) + 1
        if len(prefix.cells) * self.rows.width > MOST_CELLS:
            names = ", ".join(str(self.rows.features[one]) for one in columns)
            raise DataError(
                f"features {names} make over {MOST_CELLS:,} slices of {self.rows.support:g} rows or more. Hint: ask "
                "for more rows a slice, or merge rare bins."
            )
        limits = self._limits(prefix, column)
        if limits is None:
            return 0
        promising = self._promising(limits, level)
        if not promising.any():
            return 0
        counts = self._counted(prefix, np.asarray(promising.any(axis=1)), column)
        real = promising & (counts.sizes >= self.rows.support) & (counts.sums > 0)
        where = np.nonzero(real)
        cells = np.column_stack([prefix.cells[where[0]], where[1]])
        inside = counts.at(where)
        self.best.offer(columns, cells, inside.sizes, inside.sums, self.score.score(inside.sizes, inside.sums, level))
        if level < self.levels and len(cells):
            self.tables[columns] = Table(columns, cells, inside, counts.where(real))
        return int(promising.sum())

    def _promising(self, counts: Counts, level: int) -> Mask:
        """Return where a slice of this level, or one inside it, can be among the best."""
        support, threshold = self.rows.support, self.best.threshold
        enough = (counts.sizes >= support) & (counts.sums > 0)
        if np.isfinite(threshold):
            some = counts.at(enough)
            bound = self.score.bound(some.sizes, some.sums, some.maxima, support=support, level=level)
            enough[enough] = bound >= threshold - SLACK * (1 + abs(threshold))
        return enough

    def _limits(self, prefix: Table, column: int) -> Counts | None:
        """Return what each cell can hold at most by those with one condition less; None if there are none."""
        shape, whole = (len(prefix.cells), len(self.rows.bins[column])), prefix.counts
        limits = Counts(*(np.broadcast_to(one[:, None], shape) for one in (whole.sizes, whole.sums, whole.maxima)))
        for gone in range(len(prefix.columns)):
            fewer = prefix.columns[:gone] + prefix.columns[gone + 1 :]
            other = self.tables.get((*fewer, column))
            if other is None:
                return None
            place = _places(self.tables[fewer].cells, np.delete(prefix.cells, gone, axis=1))
            limits = limits.least(other.grid.at(place))
        return limits

    def _counted(self, prefix: Table, alive: Mask, column: int) -> Counts:
        """Return what each bin of a column holds in those of a table's cells that are alive; too little elsewhere."""
        rows, n_cells = self.rows, len(prefix.cells)
        part = self._within(self._part(prefix), alive, prefix.counts.sizes)
        codes, total = self._codes(part, column), (n_cells + 1) * rows.width
        first = rows.good if part.rows is None else int(np.searchsorted(part.rows, rows.good))
        wrong, which = codes[first:], slice(first, None) if part.rows is None else part.rows[first:]
        heavy = rows.weights if rows.weights is None or part.rows is None else rows.weights[part.rows]
        sizes = np.asarray(np.bincount(codes, heavy, total), dtype=np.float64)
        if rows.countable:
            sums = rows.errors[-1] * np.bincount(wrong, minlength=total).astype(np.float64)
            maxima = np.where(sums > 0, rows.errors[-1], 0.0)
        else:
            sums = np.asarray(np.bincount(wrong, rows.masses[which], total), dtype=np.float64)
            maxima = np.zeros(total)
            if len(prefix.columns) + 1 < self.levels:
                np.maximum.at(maxima, wrong, rows.errors[which])
        shape, inside = (n_cells + 1, rows.width), np.s_[:n_cells, : len(rows.bins[column])]
        return Counts(*(one.reshape(shape)[inside] for one in (sizes, sums, maxima)))

    def _part(self, table: Table) -> _Part:
        """Return the rows in a table's promising cells."""
        columns = table.columns
        if columns not in self._parts:
            wider, width = self.tables[columns[:-1]], self.rows.width
            part = self._part(wider)
            self._parts = {made: kept for made, kept in self._parts.items() if made == columns[: len(made)]}
            promising = self._promising(table.counts, len(columns) + 1)
            place = _places(wider.cells, table.cells[:, :-1]) * width + table.cells[:, -1]
            into = np.full((len(wider.cells) + 1) * width, len(table.cells) * width)
            into[place[promising]] = np.flatnonzero(promising) * width
            made = _Part(part.rows, into[self._codes(part, columns[-1])])
            self._parts[columns] = self._within(made, promising, table.counts.sizes)
        return self._parts[columns]

    def _within(self, part: _Part, alive: Mask, sizes: Floats) -> _Part:
        """Return only the rows in some cells, where these are few enough for the copying to be worth it."""
        share = sizes[alive].sum() / self.rows.total * len(self.rows.errors) / max(len(part.base), 1)
        if share > WORTH:
            return part
        inside = np.flatnonzero(np.repeat(np.append(alive, False), self.rows.width)[part.base])
        return _Part(inside if part.rows is None else part.rows[inside], part.base[inside])

    def _codes(self, part: _Part, column: int) -> Ints:
        """Return the place of each row in the table with one more feature; the next call overwrites it."""
        places, room = self.rows.columns[column], self._room[: len(part.base)]
        np.add(part.base, places if part.rows is None else places[part.rows], out=room)
        return room


def _places(cells: Ints, wanted: Ints) -> Ints:
    """Return where rows of whole numbers stand among some that are in lexicographic order."""
    radix = (int(cells.max(initial=0)) + 1) ** np.arange(cells.shape[1])[::-1]
    return np.searchsorted(cells @ radix, wanted @ radix).astype(np.int64)
