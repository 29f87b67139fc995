"""Which kind of shift the evidence allows to name: covariate, label, concept, data fault, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.monitors.shifts.faults import Fault
from mlwild.monitors.shifts.read import Tables
from mlwild.monitors.shifts.relation import LabelSlice, label_slices, relation_moved, residuals
from mlwild.stats.distances import benjamini_hochberg, chi_square
from mlwild.stats.sorted_columns import kolmogorov_smirnov

Floats = NDArray[np.float64]

#: Rows of each side that models of the labels and of the sides learn from at most.
MOST_ROWS = 20_000
#: Fewest labelled rows of each side, and of each class, that anything is said from.
FEWEST, FEWEST_OF_CLASS = 200, 50
#: Distinct numbers beyond which labels are a quantity rather than classes.
MOST_CLASSES = 20


@dataclass(frozen=True)
class Evidence:
    """
    What labels say of a shift.

    Parameters
    ----------
    labelled : bool
        Whether there are enough labels to say anything.
    why_not : str
        Why there are not.
    labels_moved : bool
        Whether the labels' distribution moved.
    within_moved : bool or None
        Whether the features moved within classes; None for labels that are no classes.
    relation_moved : bool
        Whether the labels of rows with the same features moved.
    p_relation : float
    what : str
        What was compared: labels or losses.
    slices : tuple of LabelSlice
        Where labels of like rows moved, if they did.
    """

    labelled: bool = False
    why_not: str = "labels of both sides are not given"
    labels_moved: bool = False
    within_moved: bool | None = None
    relation_moved: bool = False
    p_relation: float = 1.0
    what: str = "labels"
    slices: tuple[LabelSlice, ...] = ()


def labelled_evidence(
    tables: Tables,
    labels: tuple[Any, Any],
    predictions: tuple[Any, Any] | None,
    level: float,
    seed: int,
    *,
    what: str = "labels",
) -> Evidence:
    """
    Say what labels show.

    The relation of labels to features is tested where both sides have rows: a model of the reference
    (the predictions, if given) sorts the rows into bins; in each bin the residuals of the window are
    compared with those of held-out reference rows, these weighted by how much they resemble the window.

    Parameters
    ----------
    tables : Tables
    labels : (array, array)
    predictions : (array, array) or None
    level : float
    seed : int
    what : str
        ``labels``, or ``losses``, which are quantities and say nothing of classes.
    """
    old, new = (np.asarray(values) for values in labels)
    for side, values, table in (("reference", old, tables.reference), ("window", new, tables.window)):
        if len(values) != table.num_rows:
            raise DataError(f"{what}: the {side} has {len(values)} for {table.num_rows} rows. Give one a row.")
    known = [~_missing(values) for values in (old, new)]
    if min(int(side.sum()) for side in known) < FEWEST:
        return Evidence(why_not=f"fewer than {FEWEST} {what} are known on one side")
    rng = np.random.default_rng(seed)
    rows = [_some(np.flatnonzero(side), rng) for side in known]
    y_old, y_new = old[rows[0]], new[rows[1]]
    numeric = what == "losses" or (y_old.dtype.kind in "iufb" and len(np.unique(y_old)) > MOST_CLASSES)
    some = tables.rows(*rows)
    sides = some.matrices()
    if numeric:
        y = [np.asarray(values, dtype=np.float64) for values in (y_old, y_new)]
        if not all(np.isfinite(side).all() for side in y):
            raise DataError(f"{what}: one is infinite. Leave such rows out, or give a finite value.")
        labels_moved = kolmogorov_smirnov(np.sort(y[0]), np.sort(y[1]))[1] < level
        within = None
    else:
        classes = np.unique(np.concatenate([y_old.astype(str), y_new.astype(str)]))
        codes = [np.searchsorted(classes, values.astype(str)) for values in (y_old, y_new)]
        counts = [np.bincount(side, minlength=len(classes)) for side in codes]
        labels_moved = chi_square(*counts).p < level
        within = _within(sides, codes, level)
        # The most frequent class against the others: enough to see that the relation moved.
        y = [(side == int(counts[0].argmax())).astype(np.float64) for side in codes]
    given = None
    if predictions is not None:
        given = [np.asarray(values, dtype=np.float64)[side] for values, side in zip(predictions, rows, strict=True)]
        if not numeric and (min(side.min() for side in given) < 0 or max(side.max() for side in given) > 1):
            bad = next(side for side in given if side.min() < 0 or side.max() > 1)
            raise DataError(f"predictions: hold {bad.min():g} to {bad.max():g}; probabilities lie in [0, 1].")
    found = residuals(sides, y, given, seed)
    p = relation_moved(found)
    # The weights are estimated, and their noise is not in p: half of the level keeps to the level.
    moved = p < level / 2
    return Evidence(
        labelled=True,
        why_not="",
        labels_moved=labels_moved,
        within_moved=within,
        relation_moved=moved,
        p_relation=p,
        what=what,
        slices=label_slices(some, found, what=what, level=level, seed=seed) if moved else (),
    )


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind == "O":
        return np.array([value is None or value != value for value in values])  # noqa: PLR0124  NaN alone differs from itself
    return np.zeros(len(values), bool)


def _some(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= MOST_ROWS else np.sort(rng.choice(rows, MOST_ROWS, replace=False))


def _within(X: Sequence[Floats], codes: Sequence[NDArray[np.int64]], level: float) -> bool | None:  # noqa: N803
    """Say whether any feature moved within any class; None where classes are too small."""
    p = []
    for code in range(int(max(side.max() for side in codes)) + 1):
        inside = [table[side == code] for table, side in zip(X, codes, strict=True)]
        if min(map(len, inside)) < FEWEST_OF_CLASS:
            continue
        for column in range(X[0].shape[1]):
            values = [np.sort(side[:, column][np.isfinite(side[:, column])]) for side in inside]
            if min(map(len, values)) >= FEWEST_OF_CLASS:
                p.append(kolmogorov_smirnov(values[0], values[1])[1])
    return bool((benjamini_hochberg(np.array(p)) < level).any()) if p else None


def kind_of_shift(moved: Sequence[str], faults: Sequence[Fault], evidence: Evidence) -> tuple[str, str]:
    """
    Return the kind of shift and what it rests on.

    Examples
    --------
    >>> kind_of_shift([], (), Evidence())[0], kind_of_shift(["x"], (), Evidence())[0]
    ('none seen', 'undecided')
    >>> kind_of_shift([], (), Evidence(labelled=True, relation_moved=True))[0]
    'concept'
    """
    if faults:
        kinds = ", ".join(dict.fromkeys(fault.fault for fault in faults))
        return "data fault", f"{kinds}; mend the data before anything else is read from it"
    if not evidence.labelled:
        if not moved:
            return (
                "none seen",
                f"no column moved; whether the labels' relation to them did cannot be told: {evidence.why_not}",
            )
        return "undecided", f"columns moved; whether labels of like rows moved too cannot be told: {evidence.why_not}"
    p = f"p = {evidence.p_relation:.2g}"
    if evidence.what == "labels" and evidence.labels_moved and evidence.within_moved is False:
        return _classes_explain(moved, evidence, p)
    if evidence.relation_moved and not moved:
        return "concept", f"no column moved, but {evidence.what} of rows with the same features did ({p})"
    if evidence.relation_moved and evidence.what == "losses":
        # Other shares of the classes raise losses of like rows too.
        return "undecided", f"columns moved, and losses of like rows did too ({p}): which labels came would tell why"
    if evidence.relation_moved:
        return "covariate and concept", f"columns moved, and labels of rows with the same features did too ({p})"
    if moved:
        return "covariate", f"columns moved, but {evidence.what} of rows with the same features did not ({p})"
    return "none seen", f"neither columns nor {evidence.what} of rows with the same features moved ({p})"


def _classes_explain(moved: Sequence[str], evidence: Evidence, p: str) -> tuple[str, str]:
    """Return the kind where shares of the classes moved and, within each class, no column was seen to."""
    if evidence.relation_moved:
        return "label", "shares of the classes moved, and within each class the columns did not"
    if moved:
        why = f"other shares of the classes would explain what moved, and so would the columns alone ({p})"
        return "undecided", f"{why}: more labels would tell"
    return "undecided", f"shares of the classes moved, but neither columns nor labels of like rows were seen to ({p})"
