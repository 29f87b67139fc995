"""Cross-validation on what was known at a cutoff: fits that are scored and not kept."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.compute import Jobs
from mlwild.digest import digest
from mlwild.errors import DataError, StoreError
from mlwild.models import Forecast
from mlwild.records import Vintage
from mlwild.splits import OfFolds
from mlwild.splits import Rows as Dated
from mlwild.triangle import parallel
from mlwild.triangle.fitting import Done, Rows, training_rows
from mlwild.triangle.store import Store, read_predictions, write_predictions
from mlwild.triangle.triangle import Triangle

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FoldJob:
    """
    What a worker is told: fit on one side of a fold of what was known at a cutoff, predict the other.

    Parameters
    ----------
    prediction_key : str
        Where the predictions of the tested rows are kept.
    opens, cutoff : int
        The training window.
    scheme : OfFolds
    fold : int
        Which of its folds.
    """

    prediction_key: str
    model: bytes
    seed: int
    opens: int
    cutoff: int
    scheme: OfFolds
    fold: int
    ask: str
    classes: NDArray[Any] | None


@dataclass(frozen=True)
class OutOfFold:
    """
    Predictions of rows that their model did not see.

    Parameters
    ----------
    rows : tuple of ndarray of int64
        Tested rows of each fold.
    predictions : tuple of ndarray of float32
        Of the same rows.
    """

    rows: tuple[Ints, ...]
    predictions: tuple[NDArray[np.float32], ...]


def known_rows(time_: NDArray[np.int64], known_at: NDArray[np.int64], opens: int, cutoff: int) -> Ints:
    """Return the rows that a vintage may learn from, as positions."""
    picked = training_rows(time_, known_at, opens, cutoff)
    return np.arange(picked.start, picked.stop) if isinstance(picked, slice) else picked


def run_fold(job: FoldJob, rows: Rows, store: Store) -> Done:
    """Fit, predict the tested rows, and keep the predictions; what a model raises is reported."""
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            times, known_at = rows.array("time"), rows.array("known_at")
            known = known_rows(times, known_at, job.opens, job.cutoff)
            whom = rows.array("entity")
            dated = Dated(times[known], known_at[known], whom[known] if len(whom) else None)
            train, test = job.scheme.split(dated)[job.fold]
            labels = np.asarray(rows.array("label")[known[train]])
            if job.classes is not None:
                labels = job.classes[labels]
            model = models.fit(pickle.loads(job.model), rows.features(known[train]), labels, job.seed)
            predictions = models.predict(model, rows.features(known[test]), job.ask, job.classes)
        except (StoreError, MemoryError):
            raise
        except (Exception, SystemExit) as problem:  # noqa: BLE001  a user's model may raise anything; it is reported
            why = f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
            return Done(job.prediction_key, why, fitted=False, seconds=time.perf_counter() - began)
    seconds = time.perf_counter() - began
    warned = tuple(sorted({f"{item.category.__name__}: {item.message}" for item in caught}))
    store.put(job.prediction_key, "arrow", write_predictions(predictions), seconds=seconds)
    return Done(job.prediction_key, "", fitted=True, seconds=seconds, warned=warned)


def cross_validate(
    triangles: Sequence[Triangle],
    cutoffs: Sequence[int],
    scheme: OfFolds,
    *,
    windows: Sequence[str],
    jobs: Jobs = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> dict[tuple[int, int], OutOfFold]:
    """
    Make the folds of a scheme at some cutoffs, or find them in the store.

    Parameters
    ----------
    triangles : sequence of Triangle
    windows : sequence of str
        Training window of each triangle.

    Returns
    -------
    dict
        By place of the triangle and cutoff; without those whose rows cannot be split or whose model failed.
    """
    survey, store = triangles[0].survey, triangles[0].store
    wanted: dict[tuple[int, int], tuple[list[FoldJob], list[Ints]]] = {}
    for place, (triangle, window) in enumerate(zip(triangles, windows, strict=True)):
        if isinstance(survey.app.models[triangle.model], Forecast):
            continue  # a published forecast is not fitted: its folds would be its past
        for cutoff in cutoffs:
            vintage = Vintage(cutoff, window)
            first = triangle.recipe.job(vintage)
            known = known_rows(survey.time, survey.known_at, first.opens, first.cutoff)
            whom = None if survey.entity is None else survey.entity[known]
            try:
                folds = scheme.split(Dated(survey.time[known], survey.known_at[known], whom))
            except DataError:
                continue  # too few instants or entities to cut: this cutoff has no estimate of this scheme
            made = [
                FoldJob(
                    digest("fold 2", first.fit_key, survey.ask, *folds[fold]),
                    first.model,
                    first.seed,
                    first.opens,
                    first.cutoff,
                    scheme,
                    fold,
                    survey.ask,
                    survey.classes,
                )
                for fold in range(len(folds))
            ]
            wanted[place, cutoff] = (made, [known[test] for _, test in folds])
    _make(triangles[0], [job for made, _ in wanted.values() for job in made], jobs, progress)
    found = {}
    for key, (made, tested) in wanted.items():
        if all(store.get(job.prediction_key, "arrow") is not None for job in made):
            parts = tuple(read_predictions(store.payload(job.prediction_key, "arrow")) for job in made)
            found[key] = OutOfFold(tuple(tested), parts)
    return found


def _make(
    triangle: Triangle,
    todo: Sequence[FoldJob],
    jobs: Jobs,
    progress: Callable[[int, int, int], None] | None,
) -> None:
    survey, store, tally = triangle.survey, triangle.store, triangle.tally
    left = [job for job in todo if store.get(job.prediction_key, "arrow") is None]
    tally.reused += len(todo) - len(left)
    if not left:
        return
    folder = store.workspace(survey.app.name, survey.data_digest)
    rows = Rows.write(
        folder, survey.features, survey.kind, survey.time, survey.known_at, survey.labels, entity=survey.entity
    )
    ready = len(todo) - len(left)
    for number, (_, done) in enumerate(parallel.run_all(left, rows, store, jobs, run_fold), 1):
        tally.count(done)
        if done.why:
            said = f"a fold of cross-validation could not be made: {done.why}"
            tally.warned[said] = tally.warned.get(said, 0) + 1
        if progress is not None:
            progress(ready + number, len(todo), number)
