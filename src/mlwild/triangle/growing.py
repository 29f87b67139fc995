"""A history that grows one cutoff at a time: what was predicted before is continued, not made again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlwild.disk import write_atomically
from mlwild.records import Vintage
from mlwild.triangle.fitting import Job, nothing
from mlwild.triangle.recipe import Recipe
from mlwild.triangle.store import Store, read_predictions

if TYPE_CHECKING:
    from mlwild.triangle.triangle import Triangle


def continuing(job: Job, recipe: Recipe, vintage: Vintage, store: Store) -> Job:
    """Return a job that goes on where predictions of an earlier, shorter history end; itself without such ones."""
    try:
        known = json.loads(store.payload(job.fit_key, "so-far").read_bytes())
        key, rows = str(known["key"]), int(known["rows"])
    except (OSError, ValueError, KeyError, TypeError):
        return job
    shorter = rows < job.predict[-1] - job.predict[0]
    same = shorter and recipe.prediction_key(vintage, job.fit_key, rows) == key
    return replace(job, so_far=(key, rows)) if same and store.get(key, "arrow") is not None else job


def predicted_before(triangle: Triangle, vintage: Vintage) -> NDArray[np.float32]:
    """Return what a vintage predicted of the rows so far while it could, and NaN for all others."""
    job, store = triangle.job(vintage), triangle.store
    key = job.prediction_key if store.get(job.prediction_key, "arrow") is not None else ""
    key = job.so_far[0] if job.so_far is not None else key
    made = nothing(job)
    if key:
        known = read_predictions(store.payload(key, "arrow"))
        made[: len(known)] = known
    return made


def note(job: Job, store: Store) -> None:
    """Note which entry the next predictions continue; the one that was continued is of no more use."""
    known = json.dumps({"key": job.prediction_key, "rows": job.predict[-1] - job.predict[0]}).encode()
    write_atomically(store.payload(job.fit_key, "so-far"), lambda file: file.write(known))
    if job.so_far is not None:
        store.drop(job.so_far[0], "arrow")
