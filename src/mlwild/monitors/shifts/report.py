"""How two tables differ: each column, the kind of shift, what carries it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError
from mlwild.jsonable import plain
from mlwild.monitors.shifts.faults import Fault, doubled_rows, find_faults
from mlwild.monitors.shifts.kinds import Evidence, kind_of_shift, labelled_evidence
from mlwild.monitors.shifts.read import Pair, Tables
from mlwild.monitors.shifts.relation import LabelSlice
from mlwild.monitors.shifts.slices import Slice, moved_slices
from mlwild.stats.columns import compare_columns, presort
from mlwild.stats.distances import benjamini_hochberg, compare_categories
from mlwild.stats.proportions import proportion_difference
from mlwild.wording import count, number

Floats = NDArray[np.float64]

#: Categories beyond which a column is told to be a key rather than a feature.
MANY_CATEGORIES = 10_000
#: Columns that the sentences name at most.
_NAMED = 3


@dataclass(frozen=True)
class ShiftReport:
    """
    How a window of rows differs from the reference.

    Parameters
    ----------
    columns : tuple of dict
        One a column, most moved first: name, kind, psi (value, its mean by chance and p), ks and p,
        wasserstein (in the column's unit and in standard deviations), jensen_shannon, chi_square and p,
        missing shares, their difference with its interval of 95 % and p, outside (share beyond the
        reference's range), new categories, adjusted (p after Benjamini and Hochberg across columns), moved.
    kind : str
        ``none seen``, ``covariate``, ``label``, ``concept``, ``covariate and concept``, ``data fault`` or
        ``undecided``.
    why : str
        What the kind rests on, or what is missing to name one.
    faults : tuple of Fault
    carried_by : tuple of str
        Columns that moved, most first.
    slices : tuple of Slice
        Simple conditions whose share of the rows changed, found on one half and confirmed on the other.
    label_slices : tuple of LabelSlice
        Simple conditions under which labels (or losses) of like rows moved, found and confirmed in the same way.
    prediction : dict or None
        The record of the model's predictions, where these were given.
    level : float
        Share of false discoveries among the columns called moved, at most.
    n_reference, n_window : int
    said : tuple of str
        Sentences for people, the verdict first.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> old, new = rng.normal(size=2000), rng.normal(size=1000)
    >>> report = shift(pa.table({"x": old, "y": old**2}), pa.table({"x": new + 1, "y": new**2}))
    >>> report.kind, report.carried_by
    ('undecided', ('x',))
    """

    columns: tuple[dict[str, Any], ...]
    kind: str
    why: str
    faults: tuple[Fault, ...]
    carried_by: tuple[str, ...]
    slices: tuple[Slice, ...]
    label_slices: tuple[LabelSlice, ...]
    prediction: dict[str, Any] | None
    level: float
    n_reference: int
    n_window: int
    said: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold; what is not known is null."""
        return {
            "kind": self.kind,
            "why": self.why,
            "columns": plain(self.columns),
            "faults": [{"fault": one.fault, "columns": list(one.columns), "said": one.said} for one in self.faults],
            "carried_by": list(self.carried_by),
            "slices": [plain(vars(one)) for one in self.slices],
            "label_slices": [plain(vars(one)) for one in self.label_slices],
            "prediction": plain(self.prediction),
            "level": self.level,
            "n_reference": self.n_reference,
            "n_window": self.n_window,
            "said": list(self.said),
        }


def shift(
    reference: Any,
    window: Any,
    *,
    labels: tuple[Any, Any] | None = None,
    losses: tuple[Any, Any] | None = None,
    predictions: tuple[Any, Any] | None = None,
    level: float = 0.05,
    seed: int = 0,
) -> ShiftReport:
    """
    Compare the rows of a window with those of a reference, column by column.

    Each column is read once, sorted, and compared exactly; only one column is held beside the tables.
    Shift alone is information, not an alarm: whether the model suffers is for an estimate of its loss.

    Parameters
    ----------
    reference, window : frame
        Tables of pandas, Polars or Arrow, or DuckDB relations, with the same columns.
    labels : (array, array), optional
        Labels of both; they let the kind of shift be named.
    losses : (array, array), optional
        The model's losses on both, in place of labels; they tell less.
    predictions : (array, array), optional
        The model's predictions on both: values, or probabilities of the greater class in [0, 1].
    level : float
        Share of false discoveries among the columns called moved.
    seed : int
        Of the halves on which slices are found and confirmed.

    Raises
    ------
    AppError, DataError
        If the tables do not match, or probabilities lie outside [0, 1].

    References
    ----------
    .. [1] Rabanser, S., Gunnemann, S., & Lipton, Z. C. (2019). Failing loudly: an empirical study of
       methods for detecting dataset shift. NeurIPS.
    .. [2] Moreno-Torres, J. G., et al. (2012). A unifying view on dataset shift in classification.
       Pattern Recognition, 45, 521-530 (covariate, label and concept shift).

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = pa.table({"x": np.random.default_rng(0).normal(size=500)})
    >>> shift(rows, rows).kind
    'none seen'
    """
    if not 0 < level < 1:
        raise AppError(f"level: {level} must lie in (0, 1).")
    if labels is not None and losses is not None:
        raise AppError("losses: given beside labels. Give one of the two; labels tell more.")
    tables = Tables.of(reference, window)
    rows = tuple(_record(pair) for pair in tables)
    adjusted = benjamini_hochberg(np.array([_p(row) for row in rows]))
    rows = tuple({**row, "adjusted": float(p), "moved": bool(p < level)} for row, p in zip(rows, adjusted, strict=True))
    rows = tuple(sorted(rows, key=lambda row: (row["adjusted"], -_size(row))))
    moved = tuple(row["name"] for row in rows if row["moved"])
    faults = find_faults(tables, rows) + doubled_rows(tables)
    prediction = None if predictions is None else _prediction(predictions, tables)
    if losses is not None:
        evidence = labelled_evidence(tables, losses, None, level, seed, what="losses")
    else:
        evidence = Evidence() if labels is None else labelled_evidence(tables, labels, predictions, level, seed)
    kind, why = kind_of_shift(moved, faults, evidence)
    slices = moved_slices(tables, moved, level=level, seed=seed)
    n, m = tables.reference.num_rows, tables.window.num_rows
    report = ShiftReport(rows, kind, why, faults, moved, slices, evidence.slices, prediction, level, n, m, ())
    return replace(report, said=tuple(_sentences(report)))


def _record(pair: Pair) -> dict[str, Any]:
    if pair.categories is not None:
        return _words_record(pair)
    (found,) = compare_columns([presort(pair.reference)], [pair.window])
    return {
        "name": pair.name,
        "kind": "numbers",
        "psi": found.psi.value,
        "psi_by_chance": found.psi.null,
        "psi_p": found.psi.p,
        "ks": found.ks,
        "ks_p": found.ks_p,
        "wasserstein": found.wasserstein,
        "wasserstein_scaled": found.scaled,
        "jensen_shannon": found.jensen_shannon,
        "chi_square": None,
        "chi_square_p": None,
        "missing_reference": found.missing_reference,
        "missing_window": found.missing_window,
        "missing_p": found.missing_p,
        **_gap(pair),
        "outside": found.outside,
        "new_categories": (),
        "new_share": None,
        "note": _note(found.n_reference, found.n_window),
    }


def _note(n: int, m: int) -> str:
    if n and m:
        return ""
    where = "both tables" if not n and not m else "the reference" if not n else "the window"
    return f"no value in {where}: compared by its gaps only"


def _words_record(pair: Pair) -> dict[str, Any]:
    blank = dict.fromkeys(("psi", "psi_by_chance", "psi_p", "ks", "ks_p", "wasserstein", "wasserstein_scaled"))
    blank |= dict.fromkeys(("jensen_shannon", "chi_square", "chi_square_p", "outside", "new_share"))
    gaps = [float((codes < 0).mean()) for codes in (pair.reference, pair.window)]
    made = {"name": pair.name, "kind": "categories", **blank, "missing_reference": gaps[0], "missing_window": gaps[1]}
    made |= {"missing_p": _gap_p(pair), **_gap(pair), "new_categories": (), "note": ""}
    if gaps[0] == 1 or gaps[1] == 1:
        known = [int((codes >= 0).sum()) for codes in (pair.reference, pair.window)]
        return made | {"note": _note(*known)}
    assert pair.categories is not None
    found = compare_categories(pair.reference, pair.window)
    made |= {
        "psi": found.psi.value,
        "psi_by_chance": found.psi.null,
        "psi_p": found.psi.p,
        "jensen_shannon": found.jensen_shannon,
        "chi_square": found.test.statistic,
        "chi_square_p": found.test.p,
        "new_categories": tuple(pair.categories[code] for code in found.new[:20]),
        "new_share": found.new_share,
    }
    if len(pair.categories) > MANY_CATEGORIES:
        # Nearly every row has a category of its own: new ones are no news, and a test of shares says nothing.
        made |= {"chi_square_p": None, "psi_p": None}
        made["note"] = f"{count(len(pair.categories))} categories: a key rather than a feature; judged by its gaps only"
    return made


def _gap(pair: Pair) -> dict[str, float]:
    """Return by how much the share of missing values grew, with Newcombe's interval of 95 %."""
    words = pair.categories is not None
    gone = [int((side < 0).sum() if words else np.isnan(side).sum()) for side in (pair.reference, pair.window)]
    found = proportion_difference(gone[1], len(pair.window), gone[0], len(pair.reference)).difference
    return {"missing_change": found.estimate, "missing_low": found.low, "missing_high": found.high}


def _gap_p(pair: Pair) -> float:
    from mlwild.stats.distances import chi_square

    counts = [np.array([(codes >= 0).sum(), (codes < 0).sum()]) for codes in (pair.reference, pair.window)]
    return chi_square(*counts).p


def _p(row: dict[str, Any]) -> float:
    """Return one p-value a column: of its values and of its gaps, by Bonferroni."""
    values = row["ks_p"] if row["kind"] == "numbers" else row["chi_square_p"]
    known = [p for p in (values, row["missing_p"]) if p is not None and isfinite(p)]
    return min(1.0, len(known) * min(known)) if known else 1.0


def _size(row: dict[str, Any]) -> float:
    return (
        float(row["jensen_shannon"]) if row["jensen_shannon"] is not None and isfinite(row["jensen_shannon"]) else 0.0
    )


def _prediction(predictions: tuple[Any, Any], tables: Tables) -> dict[str, Any]:
    sides = []
    for values, table, side in zip(
        predictions, (tables.reference, tables.window), ("reference", "window"), strict=True
    ):
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (table.num_rows,):
            raise DataError(f"predictions: the {side} has shape {array.shape}, need one number for each of its rows.")
        if not np.isfinite(array).all():
            raise DataError(
                f"predictions: one of the {side} is missing or infinite, in row {int(np.argmin(np.isfinite(array)))}."
            )
        sides.append(array)
    return _record(Pair("prediction", sides[0], sides[1]))


def _sentences(report: ShiftReport) -> Sequence[str]:
    said = [f"{report.kind[0].upper()}{report.kind[1:]}: {report.why}."]
    said += [one.said for one in report.faults]
    moved = [row for row in report.columns if row["moved"]]
    if moved:
        shown = ", ".join(_told(row) for row in moved[:_NAMED])
        rest = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
        said.append(f"{len(moved)} of {len(report.columns)} columns moved (level {report.level:g}): {shown}{rest}.")
    said += [one.said for one in report.slices[:_NAMED]] + [one.said for one in report.label_slices[:_NAMED]]
    if report.prediction is not None and report.prediction["ks"] is not None:
        said.append(
            f"Predictions moved by {number(report.prediction['wasserstein'], 2)} (KS {report.prediction['ks']:.2f})."
        )
    if report.kind not in ("none seen", "data fault"):
        said.append("Shift alone is information, not an alarm: look at the estimated or labelled loss.")
    said += [f"{row['name']!r}: {row['note']}." for row in report.columns if row["note"]][:_NAMED]
    return said


def _told(row: dict[str, Any]) -> str:
    if row["new_categories"] and (row["new_share"] or 0) > 0.01:
        return f"{row['name']!r} (new: {', '.join(map(repr, row['new_categories'][:2]))}, {row['new_share']:.0%})"
    if abs(row["missing_window"] - row["missing_reference"]) > 0.05:
        return f"{row['name']!r} (missing {row['missing_reference']:.0%} then, {row['missing_window']:.0%} now)"
    if row["kind"] == "numbers" and row["wasserstein_scaled"] is not None and isfinite(row["wasserstein_scaled"]):
        return f"{row['name']!r} (by {number(row['wasserstein_scaled'], 2)} sd)"
    return repr(row["name"])
