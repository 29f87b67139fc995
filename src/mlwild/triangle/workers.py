"""Worker processes of this machine; what was finished is kept when one dies, and the rest is done again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mlwild.errors import StoreError
from mlwild.triangle.fitting import Done, Rows
from mlwild.triangle.store import Store

if TYPE_CHECKING:
    from mlwild.triangle.parallel import Work

W = TypeVar("W", bound="Work")

#: Times that workers are started again after one died; then what is left is done one by one, to find out which it is.
AGAIN = 1


def on_workers(
    todo: Sequence[W], rows: Rows, store: Store, workers: int, work: Callable[[W, Rows, Store], Done]
) -> Iterator[tuple[str, Done]]:
    """
    Do some work on worker processes.

    Raises
    ------
    StoreError
        If a job ends its worker each time.
    """
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = {job.prediction_key: job for job in todo}
    for tried in range(AGAIN + 1):
        try:
            for key, done in _batch(list(left.values()), rows, store, workers, work):
                del left[key]
                yield key, done
        except TerminatedWorkerError:
            # A worker may have finished a job that it did not live to tell of.
            for key in [key for key in left if store.get(key, "arrow") is not None]:
                yield key, told(left.pop(key), store)
            if tried == AGAIN:
                break
        else:
            return
    deadly: list[int] = []
    for key, job in list(left.items()):
        try:
            for _, done in _batch([job], rows, store, 1, work):
                yield key, done
        except TerminatedWorkerError:
            deadly.append(job.cutoff)
    if deadly:
        raise StoreError(
            f"store: the fit that learns until instant {min(deadly)} ended its worker process three times: it asks for "
            "more memory than there is, or its code ends the process. What was finished is kept; run the same command "
            "again with more memory, or mend the model."
        )


def told(job: Any, store: Store) -> Done:
    """Return what a worker would have reported of a job that it finished: its note tells."""
    note = store.get(job.prediction_key, "arrow") or {}
    return Done(
        str(getattr(job, "fit_key", job.prediction_key)),
        "",
        fitted=True,
        seconds=float(note.get("seconds", 0.0)),
        warned=tuple(note.get("warned", ())),
        blind=str(note.get("blind", "")),
    )


def _task(job: W, rows: Rows, store: Store, work: Callable[[W, Rows, Store], Done]) -> tuple[str, Done]:
    return job.prediction_key, work(job, rows, store)


def _batch(
    todo: Sequence[W], rows: Rows, store: Store, workers: int, work: Callable[[W, Rows, Store], Done]
) -> Iterator[tuple[str, Done]]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    # A file such as random.py beside the app must not stand in for the library's in a worker.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # Long jobs first: the last vintage learns from the most rows.
    ordered = sorted(todo, key=lambda job: -job.cutoff)
    # Alone, joblib would do it in this very process, which must not die.
    n = max(min(workers, len(todo)), 2)
    try:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            pool = Parallel(n_jobs=n, return_as="generator_unordered", pre_dispatch="2*n_jobs")
            yield from pool(delayed(_task)(job, rows, store, work) for job in ordered)
    except BaseException:
        get_reusable_executor().shutdown(wait=False, kill_workers=True)
        raise
    # Workers that lived on would run yesterday's code of a module that is edited meanwhile.
    get_reusable_executor().shutdown(wait=True)
