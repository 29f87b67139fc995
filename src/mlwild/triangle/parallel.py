"""Many jobs at once: in this process while there is little to do, then on worker processes or a cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from mlwild.compute import Jobs, Ray
from mlwild.triangle.cluster import on_cluster
from mlwild.triangle.fitting import Done, Job, Rows, run, spill
from mlwild.triangle.growing import note
from mlwild.triangle.recipe import parent_of
from mlwild.triangle.store import Store
from mlwild.triangle.workers import on_workers

if TYPE_CHECKING:
    from mlwild.records import Vintage
    from mlwild.triangle.triangle import Triangle

#: Seconds of work below which no worker is started: they take about a second themselves.
ALONE = 2.0


def make(
    wanted: list[tuple[Triangle, Vintage]],
    *,
    jobs: Jobs = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> None:
    """
    Make vintages that are not in the store, and take all of them into their triangles.

    Raises
    ------
    StoreError
        If a job ends its worker again and again; what was finished is kept.
    """
    if not wanted:
        return
    first = wanted[0][0]
    store, survey = first.store, first.survey
    # Two vintages that learned from the same rows are one job.
    todo: dict[str, tuple[Job, list[tuple[Triangle, Vintage]]]] = {}
    ready = 0
    for triangle, vintage in wanted:
        job = triangle.job(vintage)
        if job.prediction_key in todo:
            todo[job.prediction_key][1].append((triangle, vintage))
        elif store.get(job.prediction_key, "arrow") is not None:
            triangle.absorb(vintage, job, None)
            ready += 1
        else:
            triangle.tally.mended += store.damaged(job.prediction_key, "arrow")
            triangle.tally.mended += store.damaged(job.fit_key, "model")
            todo[job.prediction_key] = (job, [(triangle, vintage)])
    fitted = 0
    if progress is not None:
        progress(ready, len(wanted), fitted)
    if not todo:
        return
    rows = first.rows if first.growing else spill(survey, store)
    for _, takers in todo.values():
        triangle, vintage = takers[0]
        if vintage.updates:
            triangle.mend(parent_of(vintage))
    for key, done in run_all([job for job, _ in todo.values()], rows, store, jobs, run):
        job, takers = todo[key]
        if takers[0][0].growing and not done.why:
            note(job, store)
        for place, (triangle, vintage) in enumerate(takers):
            triangle.absorb(vintage, job, done if place == 0 else replace(done, fitted=False, seconds=0.0))
        ready, fitted = ready + len(takers), fitted + done.fitted
        if progress is not None:
            progress(ready, len(wanted), fitted)


class Work(Protocol):
    """What can be sent to a worker: it has a key, and a cutoff that tells how long it may take."""

    @property
    def prediction_key(self) -> str:
        """Where its result is kept."""
        ...

    @property
    def cutoff(self) -> int:
        """Instant up to which it learns."""
        ...


W = TypeVar("W", bound=Work)


def run_all(
    todo: Sequence[W], rows: Rows, store: Store, jobs: Jobs, work: Callable[[W, Rows, Store], Done]
) -> Iterator[tuple[str, Done]]:
    """
    Do some work in this process while there is little of it, then on workers.

    Yields
    ------
    key : str
    done : Done
        In the order in which it is finished.
    """
    workers = (os.cpu_count() or 1) if jobs is None or isinstance(jobs, Ray) else jobs
    began = time.perf_counter()
    left = list(todo)
    while left:
        spent = time.perf_counter() - began
        finished = len(todo) - len(left)
        ahead = spent / finished * len(left) if finished else 0.0
        # Later vintages learn from more rows, so the first ones tell the least there is to do.
        if (workers > 1 or isinstance(jobs, Ray)) and len(left) > 1 and finished and (ahead > ALONE or spent > ALONE):
            break
        job = left.pop(0)
        yield job.prediction_key, work(job, rows, store)
    if left and isinstance(jobs, Ray):
        usual = (time.perf_counter() - began) / max(len(todo) - len(left), 1)
        yield from on_cluster(left, rows, store, jobs, work, usual)
    elif left:
        yield from on_workers(left, rows, store, workers, work)
