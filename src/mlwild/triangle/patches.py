"""Remedied models: fitted at some cutoffs, scored on the next period, predictions kept and models not."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.compute import Jobs
from mlwild.digest import digest, fingerprint
from mlwild.disk import write_atomically
from mlwild.errors import AppError, StoreError
from mlwild.records import Vintage
from mlwild.remedies.rows import with_column
from mlwild.triangle import parallel
from mlwild.triangle.fitting import CannotFitError, Done, Rows
from mlwild.triangle.folds import known_rows
from mlwild.triangle.store import Store, read_predictions, write_array, write_predictions
from mlwild.triangle.triangle import Triangle

Bools = NDArray[np.bool_]
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Marker:
    """
    A slice that features do not tell, as a column beside them.

    Parameters
    ----------
    name : str
        Of the column.
    rows : ndarray of bool, shape (n_rows,)
        Where it is true.
    """

    name: str
    rows: Bools


@dataclass(frozen=True)
class PatchJob:
    """
    What a worker is told: fit a remedied model on what was known at a cutoff, predict the next period.

    Parameters
    ----------
    prediction_key : str
        Where the predictions are kept.
    model : bytes
        The unfitted model, pickled by value.
    opens, cutoff : int
        The training window.
    low, high : int
        Rows of the next period.
    marker : (str, str) or None
        Name of the column beside the features, and of the file that holds it.
    """

    prediction_key: str
    model: bytes
    seed: int
    opens: int
    cutoff: int
    low: int
    high: int
    ask: str
    classes: NDArray[Any] | None
    marker: tuple[str, str] | None


@dataclass(frozen=True, eq=False)
class Made:
    """
    What a remedied model predicted in the period after its cutoff.

    Parameters
    ----------
    predictions : ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
    answered : ndarray of bool, shape (n_rows,); or None
        Rows that it did not abstain from, if it may abstain.
    seconds : float
        What the fit and the predictions took.
    """

    predictions: NDArray[np.float32]
    answered: Bools | None
    seconds: float


def run_patch(job: PatchJob, rows: Rows, store: Store) -> Done:
    """Fit, predict the next period, and keep the predictions; what a model raises is reported."""
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            known = known_rows(rows.array("time"), rows.array("known_at"), job.opens, job.cutoff)
            model = models.fit(
                pickle.loads(job.model), _features(job, rows, known), _labels(job, rows, known), job.seed
            )
            asked = _features(job, rows, np.arange(job.low, job.high))
            made = models.predict(model, asked, job.ask, job.classes)
            if hasattr(model, "accepts"):
                answered = np.asarray(model.accepts(asked), dtype=np.float32)
                made = np.column_stack([made, answered])
        except (StoreError, MemoryError):
            raise
        except (Exception, SystemExit) as problem:  # noqa: BLE001  a user's model may raise anything; it is reported
            said = " ".join(str(problem).split())[:300]
            why = said if isinstance(problem, CannotFitError) else f"{type(problem).__name__}: {said}"
            return Done(job.prediction_key, why, fitted=False, seconds=time.perf_counter() - began)
    seconds = time.perf_counter() - began
    warned = tuple(sorted({f"{item.category.__name__}: {item.message}" for item in caught}))
    store.put(job.prediction_key, "arrow", write_predictions(made), seconds=seconds, warned=list(warned))
    return Done(job.prediction_key, "", fitted=True, seconds=seconds, warned=warned)


def _labels(job: PatchJob, rows: Rows, picked: NDArray[np.int64]) -> NDArray[Any]:
    labels = np.asarray(rows.array("label")[picked])
    if not len(labels):
        raise CannotFitError("no label was known")
    if job.classes is None:
        return labels
    if labels.min() == labels.max():
        raise CannotFitError(f"one class only in {len(labels)} known labels")
    return np.asarray(job.classes[labels])


def _features(job: PatchJob, rows: Rows, picked: NDArray[np.int64]) -> Any:
    features = rows.features(picked)
    if job.marker is None:
        return features
    name, file = job.marker
    return with_column(features, name, np.asarray(rows.array(file)[picked]))


def patch_at(
    triangle: Triangle,
    remedies: Mapping[str, Any],
    cutoffs: Sequence[int],
    *,
    window: str,
    marker: Marker | None = None,
    jobs: Jobs = None,
    progress: Progress | None = None,
) -> tuple[dict[tuple[str, int], Made], dict[str, str]]:
    """
    Fit remedied models at some cutoffs and predict the period after each, or find that in the store.

    Parameters
    ----------
    triangle : Triangle
        Of the base model: its rows, seed, store and tally.
    remedies : mapping of str to model
    cutoffs : sequence of int
    window : str
        Training window.
    marker : Marker, optional
        A column that the remedied models see beside the features.

    Returns
    -------
    made : dict
        By name and cutoff.
    failed : dict of str to str
        Why a model could not be made at some cutoff; it is in `made` for none.

    Raises
    ------
    AppError
        If a model cannot be pickled.
    StoreError
        If a worker died; what was finished is kept.
    """
    todo = {
        (name, cutoff): _job(triangle, name, model, (Vintage(cutoff, window), marker))
        for name, model in remedies.items()
        for cutoff in cutoffs
    }
    whys = _make(triangle, list(todo.values()), marker, jobs, progress)
    failed: dict[str, str] = {}
    for (name, _), job in todo.items():
        if job.prediction_key in whys:
            failed.setdefault(name, whys[job.prediction_key])
    classes = triangle.survey.classes
    columns = len(classes) if classes is not None and triangle.survey.ask == "probabilities" else 1
    made = {key: _read(triangle.store, job, columns) for key, job in todo.items() if key[0] not in failed}
    return made, failed


def _job(triangle: Triangle, name: str, model: Any, where: tuple[Vintage, Marker | None]) -> PatchJob:
    vintage, marker = where
    survey, first = triangle.survey, triangle.recipe.job(vintage)
    low, high = (int(survey.grid.row_start[k]) for k in (vintage.cutoff, vintage.cutoff + 1))
    known = known_rows(survey.time, survey.known_at, first.opens, first.cutoff)
    seen = "" if marker is None else digest(marker.name, marker.rows[known], marker.rows[low:high])
    made_of = (fingerprint(model), seen, survey.ask, survey.hashes[low:high])
    try:
        pickled = bytes(cloudpickle.dumps(model))
    except Exception as problem:  # pickling runs the user's code, which may raise anything
        raise AppError(f"remedies[{name!r}]: cannot be pickled, so it cannot go to workers: {problem}") from problem
    return PatchJob(
        prediction_key=digest("patch 1", first.fit_key, *made_of),
        model=pickled,
        seed=first.seed,
        opens=first.opens,
        cutoff=first.cutoff,
        low=low,
        high=high,
        ask=survey.ask,
        classes=survey.classes,
        marker=None if marker is None else (marker.name, _file(marker)),
    )


def _file(marker: Marker) -> str:
    return f"marker-{digest(marker.rows)}"


def _make(
    triangle: Triangle, todo: Sequence[PatchJob], marker: Marker | None, jobs: Jobs, progress: Progress | None
) -> dict[str, str]:
    """Do what is not in the store yet; return why jobs failed, by key."""
    survey, store, tally = triangle.survey, triangle.store, triangle.tally
    left = {job.prediction_key: job for job in todo if store.get(job.prediction_key, "arrow") is None}
    tally.reused += len(todo) - len(left)
    if not left:
        return {}
    folder = store.workspace(survey.app.name, survey.data_digest)
    rows = Rows.write(folder, survey.features, survey.kind, survey.time, survey.known_at, survey.labels)
    if marker is not None:
        _spill(folder / f"{_file(marker)}.npy", marker.rows)
    ready, whys = len(todo) - len(left), {}
    for number, (key, done) in enumerate(parallel.run_all(list(left.values()), rows, store, jobs, run_patch), 1):
        tally.count(done)
        if done.why:
            whys[key] = done.why
        if progress is not None:
            progress(ready + number, len(todo), number)
    return whys


def _spill(path: Path, values: Bools) -> None:
    write_atomically(path, write_array(values))


def _read(store: Store, job: PatchJob, columns: int) -> Made:
    kept = read_predictions(store.payload(job.prediction_key, "arrow"))
    note = store.get(job.prediction_key, "arrow") or {}
    seconds = float(note.get("seconds", 0.0))
    if kept.ndim == 1 or kept.shape[1] == columns:
        return Made(kept, None, seconds)
    predictions = kept[:, 0] if columns == 1 else kept[:, :columns]
    return Made(predictions, kept[:, -1] > 0.5, seconds)
