"""One job of a worker: fit or update a vintage, predict all later rows, keep both."""

from __future__ import annotations

import functools
import json
import pickle
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild import frames, models
from mlwild.digest import bytes_digest, file_digest
from mlwild.disk import write_atomically
from mlwild.errors import StoreError
from mlwild.own_modules import loads
from mlwild.triangle.store import Store, read_predictions, write_array, write_predictions
from mlwild.triangle.survey import Survey

#: Rows predicted at a time: bounds the memory of a worker.
CHUNK = 500_000


@dataclass(frozen=True)
class Rows:
    """
    The rows as workers read them: files that are mapped, not loaded.

    Parameters
    ----------
    folder : Path
    kind : str
        Kind of frame that the user's features function returned.
    """

    folder: Path
    kind: str

    @staticmethod
    def write(
        folder: Path,
        table: Any,
        kind: str,
        time: NDArray[np.int64],
        known_at: NDArray[np.int64],
        label: NDArray[Any],
        *,
        entity: NDArray[np.int64] | None = None,
    ) -> Rows:
        """Spill features, times, labels and entities to disk."""
        import pyarrow as pa

        if not _whole(folder):

            def features(file: Any) -> None:
                with pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table.combine_chunks())

            write_atomically(folder / "features.arrow", features)
            none = np.zeros(0, np.int64)
            arrays = {"time": time, "known_at": known_at, "label": label, "entity": none if entity is None else entity}
            for name, array in arrays.items():
                write_atomically(folder / f"{name}.npy", write_array(array))
            digests = {name: file_digest(folder / name) for name in _FILES}
            write_atomically(folder / "done", lambda file: file.write(json.dumps(digests).encode()))
        return Rows(folder, kind)

    def array(self, name: str) -> NDArray[Any]:
        """Map an array."""
        mapped: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return mapped

    def features(self, rows: slice | NDArray[np.int64]) -> Any:
        """Return the features of some rows in the user's kind of frame."""
        table = _table(self.folder / "features.arrow")
        part = table.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else table.take(rows)
        return frames.from_arrow(part, self.kind)


def spill(survey: Survey, store: Store) -> Rows:
    """Write the rows of a history to where workers read them."""
    folder = store.workspace(survey.app.name, survey.data_digest)
    return Rows.write(
        folder, survey.features, survey.kind, survey.time, survey.known_at, survey.labels, entity=survey.entity
    )


_FILES = ("features.arrow", "time.npy", "known_at.npy", "label.npy", "entity.npy")


def _whole(folder: Path) -> bool:
    """Say whether spilled rows are all there and agree with their digests."""
    try:
        noted = json.loads((folder / "done").read_bytes())
        return all(file_digest(folder / name) == noted[name] for name in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


@functools.lru_cache(maxsize=2)
def _table(path: Path) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def training_rows(
    time: NDArray[np.int64], known_at: NDArray[np.int64], opens: int, cutoff: int, after: int | None = None
) -> slice | NDArray[np.int64]:
    """
    Return the rows a vintage may learn from.

    Those asked for in ``[opens, cutoff)`` whose label was known at the cutoff; with `after`, only
    those that could not be learned from at that earlier cutoff.

    Returns
    -------
    slice or ndarray of int64
        A slice where the rows lie side by side: it costs no copy.
    """
    low, high = np.searchsorted(time, [opens, cutoff], side="left")
    known = np.asarray(known_at[low:high]) <= cutoff
    if after is not None:
        known &= ~((np.asarray(known_at[low:high]) <= after) & (np.asarray(time[low:high]) < after))
    rows: NDArray[np.int64] = np.flatnonzero(known).astype(np.int64) + np.int64(low)
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def count(rows: slice | NDArray[np.int64]) -> int:
    """Return how many rows a selection holds."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


@dataclass(frozen=True)
class Job:
    """
    What a worker is told.

    Parameters
    ----------
    fit_key, prediction_key : str
        Where the model and its predictions are kept.
    model : bytes
        The unfitted model, pickled by value.
    opens, cutoff : int
        The training window.
    after, parent_key, update : int, str, bytes; or None
        For an update: the cutoff of the parent, its entry, and how to update.
    predict : tuple of int
        Rows to predict, as the edges of their periods: the first is the vintage's own.
    so_far : tuple of str and int, optional
        Entry with predictions of the first so many of these rows, to be continued.
    was_live : bool
        Whether it was live already: then it is a vintage, whatever it cannot predict.
    artefact : str
        Digest of the model that was live; no other is loaded, or made in its place. Empty if none was.
    own : bytes
        Modules of the app that go by names of their own, pickled; empty where none does.
    """

    fit_key: str
    prediction_key: str
    model: bytes
    seed: int
    opens: int
    cutoff: int
    predict: tuple[int, ...]
    ask: str
    classes: NDArray[Any] | None
    after: int | None = None
    parent_key: str | None = None
    update: bytes | None = None
    so_far: tuple[str, int] | None = None
    was_live: bool = False
    artefact: str = ""
    own: bytes = b""


@dataclass(frozen=True)
class Done:
    """
    What a worker reports.

    `why` is empty unless the job failed; `warned` holds its warnings; `blind` says why some later
    period could not be predicted.
    """

    fit_key: str
    why: str
    fitted: bool
    seconds: float
    warned: tuple[str, ...] = ()
    blind: str = ""


class CannotFitError(ValueError):
    """The rows known at a cutoff cannot train a model."""


class LostError(CannotFitError):
    """What was live is not there any more, and cannot be made again."""


def run(job: Job, rows: Rows, store: Store) -> Done:
    """
    Fit (unless the fitted model is kept already), predict, and keep both.

    A model that raises, or predicts what is no prediction, is reported and not raised: the
    rehearsal goes on without this vintage.
    """
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    fitted = False
    with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model, fitted = _model(job, rows, store)
            predictions, blind = _continued(model, job, rows, store)
        except (StoreError, MemoryError):
            raise
        except (Exception, SystemExit) as problem:  # noqa: BLE001  a user's model may raise anything; it is reported
            why = str(problem) if isinstance(problem, CannotFitError | models.PredictionError) else raised(problem)
            return Done(job.fit_key, why, fitted, time.perf_counter() - began)
    warned = tuple(sorted({f"{item.category.__name__}: {item.message}" for item in caught}))
    seconds = time.perf_counter() - began
    facts = {"seconds": seconds, "warned": list(warned), "blind": blind}
    store.put(job.prediction_key, "arrow", write_predictions(predictions), **facts)
    return Done(job.fit_key, "", fitted, seconds, warned, blind)


def _continued(model: Any, job: Job, rows: Rows, store: Store) -> tuple[NDArray[np.float32], str]:
    """Predict all later rows; those that were predicted before are read."""
    if job.so_far is None:
        return _predictions(model, job, rows)
    key, n = job.so_far
    known = read_predictions(store.payload(key, "arrow"))
    blind = str((store.get(key, "arrow") or {}).get("blind", ""))
    begin = job.predict[0] + n
    left = replace(job, predict=(begin, *(edge for edge in job.predict if edge > begin)))
    if len(left.predict) == 1:
        return known, blind
    predictions, later = _predictions(model, left, rows)
    return np.concatenate([known, predictions]), blind or later


def _predictions(model: Any, job: Job, rows: Rows) -> tuple[NDArray[np.float32], str]:
    """
    Predict all later rows, NaN where a later period cannot be predicted; and say why not.

    What goes wrong in a later period could not be known before it: only a vintage that cannot
    predict its own first period is no vintage.
    """
    low, high = job.predict[0], job.predict[-1]
    if low == high:  # made at this very instant: no row has come yet
        return nothing(job), ""
    try:
        parts = [
            models.predict(model, rows.features(slice(at, min(at + CHUNK, high))), job.ask, job.classes)
            for at in range(low, high, CHUNK)
        ]
    except MemoryError:
        raise
    except (Exception, SystemExit):  # noqa: BLE001  looked at period by period below, where it is told
        return _period_by_period(model, job, rows)
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), ""


def nothing(job: Job) -> NDArray[np.float32]:
    """Return predictions of all rows of a job, none of them known."""
    n = job.predict[-1] - job.predict[0]
    matrix = job.ask == "probabilities" and job.classes is not None
    return np.full((n, len(job.classes)) if matrix and job.classes is not None else n, np.nan, dtype=np.float32)


def _period_by_period(model: Any, job: Job, rows: Rows) -> tuple[NDArray[np.float32], str]:
    made, said = nothing(job), ""
    for place, (low, high) in enumerate(zip(job.predict, job.predict[1:], strict=False)):
        if low == high:
            continue
        try:
            part = models.predict(model, rows.features(slice(low, high)), job.ask, job.classes)
        except MemoryError:
            raise
        except (Exception, SystemExit) as problem:
            if place == 0 and job.so_far is None and not job.was_live:
                raise
            said = said or (str(problem) if isinstance(problem, models.PredictionError) else raised(problem))
            continue
        made[low - job.predict[0] : high - job.predict[0]] = part
    return made, said


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def raised(problem: BaseException) -> str:
    """Say in a line what the user's code raised."""
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text[:300]}"


def _model(job: Job, rows: Rows, store: Store) -> tuple[Any, bool]:
    noted = store.get(job.fit_key, "model")
    if noted is not None and job.artefact in ("", noted["digest"]):
        return _loads(store.payload(job.fit_key, "model").read_bytes(), job), False
    picked = training_rows(rows.array("time"), rows.array("known_at"), job.opens, job.cutoff, job.after)
    n = count(picked)
    if not n and job.parent_key is None:
        raise CannotFitError("no label was known")
    labels = np.asarray(rows.array("label")[picked])
    if job.classes is not None:
        codes, labels = labels, job.classes[labels]
        if job.parent_key is None and codes.min() == codes.max():
            raise CannotFitError(f"one class only: all {n} known labels are {_plain(labels[0])!r}")
    if job.parent_key is None:
        model = models.fit(pickle.loads(job.model), rows.features(picked), labels, job.seed)
    else:
        assert job.update is not None
        parent = _loads(store.payload(job.parent_key, "model").read_bytes(), job)
        model = models.update(parent, pickle.loads(job.update), rows.features(picked), labels) if n else parent
    payload = cloudpickle.dumps(model)
    if job.artefact not in ("", made := bytes_digest(payload)):
        raise LostError(
            f"its artefact was lost, and what was made again is not the same (digest {made[:8]}, was "
            f"{job.artefact[:8]}): its rows have changed, or lines of its code, or its fit cannot be repeated"
        )
    if job.artefact:  # another that is there under the key is not what went live
        store.put(job.fit_key, "model", lambda file: file.write(payload), rows=n)
    elif not store.put_once(job.fit_key, "model", lambda file: file.write(payload), rows=n):
        return _loads(store.payload(job.fit_key, "model").read_bytes(), job), True  # another process was first
    return model, True


def _loads(data: bytes, job: Job) -> Any:
    return loads(data, pickle.loads(job.own) if job.own else {})
