"""Probes for leaks that recomputing does not show: shuffled targets and single columns."""

from __future__ import annotations

from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild import frames, models
from mlwild.checks.findings import Finding
from mlwild.losses import Loss, auc
from mlwild.models import Forecast
from mlwild.triangle import Survey
from mlwild.triangle.fitting import training_rows

#: A column that alone orders the labels this well is more likely an answer than a clue.
TOO_GOOD = 0.98
_SAMPLE = 50_000
#: Rows learned from and tested on with shuffled labels, and number of shuffles.
_SHUFFLED, _SHUFFLES = 20_000, 8


def trains(survey: Survey) -> Finding:
    """Fit the living model on the last rows known at the middle cutoff, and let it predict."""
    app, grid = survey.app, survey.grid
    model = app.models[app.live]
    if isinstance(model, Forecast):
        return Finding("training", "pass", "a published forecast is not trained here")
    cutoff = int(grid.edges[grid.periods // 2])
    learned = np.arange(len(survey.time))[training_rows(survey.time, survey.known_at, np.iinfo(np.int64).min, cutoff)][
        -_SHUFFLED:
    ]
    labels = survey.labels[learned] if survey.classes is None else survey.classes[survey.labels[learned]]
    try:
        fitted = models.fit(model, _rows(survey, learned), labels, int(app.seeds[0]))
        models.predict(fitted, _rows(survey, learned[-100:]), survey.ask, survey.classes)
    except Exception as problem:  # noqa: BLE001  the user's model may raise anything; it is reported
        why = " ".join(str(problem).split())[:300]
        said = f"{app.live!r} cannot be trained on {len(learned)} rows of the features: {type(problem).__name__}: {why}"
        return Finding("training", "fail", said)
    return Finding("training", "pass", f"{app.live!r} trains on the features and predicts")


def target_shuffle(survey: Survey, *, seed: int) -> Finding:
    """
    Train the living model on shuffled labels; on true labels it must be no better than a constant.

    A model that is better has seen the labels by another way than `fit(X, y)`. One shuffle may be
    lucky, so the loss is averaged over eight and tested against their scatter, at level 0.001.

    References
    ----------
    .. [1] Ojala, M., & Garriga, G. C. (2010). Permutation tests for studying classifier
       performance. JMLR, 11, 1833-1863.
    """
    app, grid = survey.app, survey.grid
    model = app.models[app.live]
    if isinstance(model, Forecast):
        return Finding("target shuffle", "pass", "a published forecast is not trained here")
    middle = grid.periods // 2
    learned = training_rows(survey.time, survey.known_at, np.iinfo(np.int64).min, int(grid.edges[middle]))
    learned = np.arange(learned.start, learned.stop) if isinstance(learned, slice) else learned
    tested = np.sort(grid.cell_rows[(grid.period_of_cell_row >= middle) & (grid.period_of_cell_row < middle + 4)])
    learned, tested = learned[-_SHUFFLED:], tested[:_SHUFFLED]
    if len(learned) < 50 or len(tested) < 50:
        return Finding("target shuffle", "undecided", "fewer than 50 labels to learn from or to test on")
    rng = np.random.default_rng(seed)
    gaps = []
    for _ in range(_SHUFFLES):
        # Over all rows, not within periods: a rate that changes with time is honest knowledge.
        shuffled = rng.permutation(survey.labels[learned])
        labels = shuffled if survey.classes is None else survey.classes[shuffled]
        try:
            fitted = models.fit(model, _rows(survey, learned), labels, int(app.seeds[0]))
            predicted = models.predict(fitted, _rows(survey, tested), survey.ask, survey.classes)
        except Exception as problem:  # noqa: BLE001  the user's model may raise anything; it is reported
            why = f"{app.live!r} could not be trained on {len(learned)} rows with shuffled labels: {problem}"
            return Finding("target shuffle", "undecided", why)
        gaps.append(_gap_to_constant(survey, tested, predicted))
    gap, error = float(np.mean(gaps)), float(np.std(gaps, ddof=1)) / _SHUFFLES**0.5
    said = f"loss {gap:+.2g} against it, standard error {error:.2g}, {_SHUFFLES} shuffles, {len(tested)} rows"
    # 4.785: the 0.999 quantile of Student's t with seven degrees of freedom.
    if gap + 4.785 * error < -1e-9:
        how = "trained on shuffled labels it still beats a constant"
        return Finding("target shuffle", "fail", f"{app.live!r} has seen the labels another way: {how} ({said})")
    return Finding(
        "target shuffle", "pass", f"trained on shuffled labels {app.live!r} is no better than a constant ({said})"
    )


def _rows(survey: Survey, rows: NDArray[np.int64]) -> Any:
    return frames.from_arrow(survey.features.take(rows), survey.kind)


def _gap_to_constant(survey: Survey, tested: NDArray[np.int64], predicted: NDArray[np.float32]) -> float:
    """Return the loss of predictions less that of the best constant of the tested rows themselves."""
    loss, labels = survey.loss, survey.labels[tested]
    constant = _constant(loss, labels, len(tested), survey)
    if loss.per == "row":
        return float((loss.rows(labels, predicted) - loss.rows(labels, constant)).mean())
    gap = loss.of_set(labels, predicted) - loss.of_set(labels, constant)
    return gap if np.isfinite(gap) else 0.0


def _constant(loss: Loss, truth: NDArray[Any], n: int, survey: Survey) -> NDArray[np.float32]:
    """Return the best constant of some labels."""
    if survey.classes is None:
        grid = np.unique(np.quantile(truth, np.linspace(0.01, 0.99, 99)))
        grid = np.append(grid, truth.mean())
        sample = truth[:: max(1, len(truth) // 2000)]
        one = [
            loss.rows(sample, np.full(len(sample), value)).mean()
            if loss.per == "row"
            else loss.of_set(sample, np.full(len(sample), value))
            for value in grid
        ]
        return np.full(n, grid[int(np.argmin(one))], dtype=np.float32)
    shares = np.bincount(truth, minlength=len(survey.classes)) / len(truth)
    if survey.ask == "probabilities":
        return np.tile(shares.astype(np.float32), (n, 1))
    if survey.ask == "probability":
        return np.full(n, shares[-1], dtype=np.float32)
    return np.full(n, int(np.argmax(shares)), dtype=np.float32)


def single_columns(survey: Survey, *, seed: int) -> list[Finding]:
    """
    Score each feature alone, and whether it is missing, as if it were the prediction.

    Returns
    -------
    list of Finding
        A failure for each that orders the labels as well as an answer would.
    """
    labelled = np.flatnonzero(survey.known_at != np.iinfo(np.int64).max)
    if len(labelled) > _SAMPLE:
        labelled = np.sort(np.random.default_rng(seed).choice(labelled, _SAMPLE, replace=False))
    part = survey.features.take(labelled)
    kinds, measure = targets(survey, labelled), "a rank correlation" if survey.classes is None else "an AUC"
    found, best, where = [], 0.0, ""
    for name in part.column_names:
        for what, column in _columns(part.column(name), kinds[0]):
            power = max(_power(column, target, survey.classes is not None) for target in kinds)
            if power > best:
                best, where = power, name
            if power >= TOO_GOOD:
                said = (
                    f"{what.format(name=repr(name))} alone tells the label almost exactly ({measure} of {power:.3f} on "
                    f"{len(labelled):,} rows): is it known when the prediction is asked for?"
                )
                found.append(Finding("single column", "fail", said, name))
    if found:
        return found
    chance = 0 if survey.classes is None else 0.5
    strongest = f"; the strongest is {where!r} ({measure} of {best:.2f}, chance {chance:g})" if where else ""
    return [Finding("single column", "pass", f"no feature alone tells the label{strongest}")]


def targets(survey: Survey, rows: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """Return the labels of some rows as numbers: as they are, 0 and 1 of two classes, or of each class."""
    labels = survey.labels[rows].astype(np.float64)
    if survey.classes is None:
        return [labels]
    kinds = range(1, len(survey.classes)) if len(survey.classes) == 2 else range(len(survey.classes))
    return [(labels == code).astype(np.float64) for code in kinds]


def _columns(column: Any, target: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return a column as numbers, and its missingness where it has any."""
    import pyarrow as pa

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    missing = np.asarray(array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False), dtype=bool)
    made = []
    if missing.any() and not missing.all():
        made.append(("that {name} is missing", missing.astype(np.float64)))
    kind = array.type
    if pa.types.is_boolean(kind):
        array, kind = array.cast(pa.int8()), pa.int8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind):
        if pa.types.is_temporal(kind):
            array = array.cast(pa.int64() if kind.bit_width == 64 else pa.int32())
        values = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        values = np.where(missing | ~np.isfinite(values), np.nan, values)
        if (~np.isnan(values)).any():
            made.append(("feature {name}", np.where(np.isnan(values), np.nanmean(values), values)))
        return made
    words = np.array([str(value) for value in array.to_pylist()])
    kinds, codes = np.unique(words, return_inverse=True)
    half = len(words) // 2
    if len(kinds) <= max(2, half // 20):  # mean label by value on the first half, judged on the second
        sums = np.bincount(codes[:half], target[:half], len(kinds))
        counts = np.bincount(codes[:half], minlength=len(kinds))
        means = np.where(counts > 0, sums / np.maximum(counts, 1), target[:half].mean())
        coded = means[codes].astype(np.float64)
        coded[:half] = np.nan
        made.append(("feature {name}", coded))
    return made


def _power(column: NDArray[np.float64], target: NDArray[np.float64], classes: bool) -> float:
    use = ~np.isnan(column)
    if classes:
        area = auc(target[use], column[use])
        return 0.0 if np.isnan(area) else max(area, 1 - area)
    ranks = [np.unique(values[use], return_inverse=True)[1].astype(np.float64) for values in (column, target)]
    if min(np.ptp(rank) for rank in ranks) == 0:
        return 0.0
    return float(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]))


def pickles(survey: Survey) -> Finding:
    """Say whether the models can be sent to workers and kept."""
    for name, model in survey.app.models.items():
        try:
            cloudpickle.dumps(model)
        except Exception as problem:  # noqa: BLE001  pickling runs the user's code
            said = f"models[{name!r}] cannot be pickled, so it can be neither kept nor sent to workers: {problem}"
            return Finding("pickling", "fail", said)
    return Finding("pickling", "pass", "every model can be kept and sent to workers")
