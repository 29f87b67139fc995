"""A candidate's recipe, fitted again on other rows, labels or seeds."""

from __future__ import annotations

from typing import Any

import cloudpickle
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mlwild import models
from mlwild.digest import digest, row_hashes
from mlwild.gate.held import Held
from mlwild.triangle import Triangle


def refit(triangle: Triangle, rows: Held, labels: NDArray[Any], seed: int, fresh: bool = False) -> Any:
    """
    Return the triangle's model fitted on some rows; what was fitted before is read from the store.

    Parameters
    ----------
    triangle : Triangle
    rows : Held
    labels : ndarray, shape (n,)
        In place of the rows' own: positions of classes, or numbers.
    seed : int
    fresh : bool
        Fit, whatever the store has, and keep nothing there.

    Returns
    -------
    object
        The fitted estimator.
    """
    answers = labels.copy() if rows.classes is None else rows.classes[labels]
    key = digest("trial fit 1", triangle.recipe.named(seed), row_hashes(rows.table), labels)
    if fresh or triangle.store.get(key, "model") is None:
        with threadpool_limits(limits=1):
            made = models.fit(triangle.survey.app.models[triangle.model], rows.features, answers, seed)
        if fresh:
            return made
        payload = cloudpickle.dumps(made)
        triangle.store.put(key, "model", lambda file: file.write(payload), rows=len(rows))
    return triangle.recipe.loads(triangle.store.payload(key, "model").read_bytes())
