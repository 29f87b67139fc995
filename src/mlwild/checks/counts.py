"""Columns that count the labels of a group, that of their own row among them: cutting the future off cannot show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.app import App
from mlwild.checks.findings import Finding
from mlwild.checks.probes import targets
from mlwild.clock import NEVER
from mlwild.events import Events
from mlwild.triangle import Survey
from mlwild.wording import count

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Rows that columns are compared on; fewest of them that tell, and the share that has to agree.
ROWS, FEWEST, AGREE = 20_000, 30, 0.99
#: Columns that may name a group, and kinds of label that may be counted.
GROUPS, KINDS = 20, 10


@dataclass(frozen=True, eq=False)
class Counted:
    """
    What the labels of a group add up to.

    Parameters
    ----------
    before : ndarray of int64, shape (n,)
        The row before in the same group; -1 at its first.
    target : ndarray of float64, shape (n,)
        What each row's label adds; 0 where it is not known.
    total, mean : ndarray of float64, shape (n,)
        Sum and mean over the known labels of the row's group.
    mixed : ndarray of bool, shape (n,)
        Whether the known labels of the row's group differ.
    """

    before: Ints
    target: Floats
    total: Floats
    mean: Floats
    mixed: Bools

    def hidden_in(self, column: Floats) -> str:
        """
        Say how a column holds the label of its own row; nothing where it does not.

        Only rows that tell are compared: for a running count those whose label is another than that of the row before,
        since a count of earlier labels rises by that one; for a sum or a mean those whose group has different labels.
        """
        n = len(column)
        second = np.flatnonzero(self.before[:n] >= 0)
        step = column[second] - column[self.before[second]]
        own, last = self.target[second], self.target[self.before[second]]
        if _agrees(step, own, own != last):
            return "counts the labels of its {group}, that of its own row among them"
        if _agrees(column, self.total[:n], self.mixed[:n]):
            return "is the sum of all labels of its {group}, that of its own row and later ones among them"
        if _agrees(column, self.mean[:n], self.mixed[:n]):
            return "is the mean of all labels of its {group}, that of its own row and later ones among them"
        return ""


def label_counts(app: App, events: Events, survey: Survey) -> list[Finding]:
    """
    Look for features that hold the label of their own row by way of a count, a sum or a mean over a group.

    Where the data themselves come with such columns, features are the same with the future cut off; and one label among
    many does not tell the label by itself. Groups are the columns of words or whole numbers that repeat.

    Returns
    -------
    list of Finding
        A failure for each such feature.

    References
    ----------
    .. [1] Kaufman, S., Rosset, S., Perlich, C., & Stitelman, O. (2012). Leakage in data mining: formulation,
       detection, and avoidance. ACM TKDD, 6(4), 15.
    """
    known = survey.known_at != NEVER
    kinds = [np.where(known, one, 0.0) for one in targets(survey, np.arange(len(known)))[:KINDS]]
    columns = _numeric(survey)
    found: dict[str, Finding] = {}
    tried = 0
    for group, codes in _groups(app, events):
        tried += 1
        for target in kinds:
            counted = counted_by(codes, target, known)
            for name, values in columns.items():
                how = "" if name in found else counted.hidden_in(values)
                if how:
                    said = (
                        f"feature {name!r} {how.format(group=repr(group))}: count only labels that were known when the "
                        "prediction was asked for"
                    )
                    found[name] = Finding("label counts", "fail", said, name)
    if found:
        return list(found.values())
    said = f"none of {count(len(columns))} features counts its own label by any of {count(tried)} columns"
    return [Finding("label counts", "pass", f"{said} that name a group")]


def counted_by(codes: Ints, target: Floats, known: Bools) -> Counted:
    """
    Return what labels add up to by group.

    Parameters
    ----------
    codes : ndarray of int64, shape (n,)
        Number of the group of each row, in order of time.
    target : ndarray of float64, shape (n,)
    known : ndarray of bool, shape (n,)
        Whether the label is known.

    Examples
    --------
    >>> rows = np.arange(200)
    >>> label = (rows % 3 == 0).astype(float)
    >>> counted = counted_by(np.zeros(200, dtype=int), label, np.ones(200, dtype=bool))
    >>> counted.hidden_in(np.cumsum(label))
    'counts the labels of its {group}, that of its own row among them'
    >>> counted.hidden_in(np.cumsum(label) - label)
    ''
    """
    order = np.argsort(codes, kind="stable")
    before = np.full(len(codes), -1, dtype=np.int64)
    same = codes[order[1:]] == codes[order[:-1]]
    before[order[1:][same]] = order[:-1][same]
    total = np.asarray(np.bincount(codes, target), dtype=np.float64)
    mean = total / np.maximum(np.bincount(codes, known), 1)
    off = np.bincount(codes, np.where(known, (target - mean[codes]) ** 2, 0.0))
    return Counted(before, target, total[codes], mean[codes], off[codes] > 0)


def _agrees(column: Floats, wanted: Floats, telling: Bools) -> bool:
    if telling.sum() < FEWEST:
        return False
    return bool(np.isclose(column[telling], wanted[telling], rtol=1e-6, atol=1e-9).mean() >= AGREE)


def _numeric(survey: Survey) -> dict[str, Floats]:
    """Return the features that are numbers, over the first rows; what is missing agrees with nothing."""
    import pyarrow as pa

    part = survey.features.slice(0, ROWS)
    made = {}
    for name in part.column_names:
        kind = part.schema.field(name).type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            values = part.column(name).cast(pa.float64(), safe=False).to_numpy()
            if np.nanmin(values, initial=0.0) != np.nanmax(values, initial=0.0):
                made[name] = np.asarray(values, dtype=np.float64)
    return made


def _groups(app: App, events: Events) -> Iterator[tuple[str, Ints]]:
    """Yield the columns that may name a group, as numbers: words, yes or no, or whole numbers that repeat."""
    import narwhals.stable.v2 as nw

    n, found = len(events), 0
    aside = {app.time, app.label, app.known_at, app.key, app.propensity, *app.outcomes}
    for name in events.frame.columns:
        kind = events.frame.schema[name]
        words = kind in (nw.String, nw.Categorical, nw.Enum, nw.Boolean)
        if name in aside or not (words or kind.is_integer()) or found == GROUPS:
            continue
        values, missing = frames.values(events.frame, name, "data")
        codes = np.unique(values.astype(str) if words else values, return_inverse=True)[1] + 1
        codes[missing] = 0
        if 1 < len(np.unique(codes)) <= n / 2:
            found += 1
            yield name, codes.astype(np.int64)
