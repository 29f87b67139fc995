"""A model's loss less another's on the same rows, with bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlwild.cells import kinds
from mlwild.gate.bounds import ALPHA, Bounds, bounds_of
from mlwild.gate.held import Held
from mlwild.losses import Loss
from mlwild.stats.bootstrap import resampled_interval
from mlwild.stats.bounds import clopper_pearson_upper

Floats = NDArray[np.float64]


def loss_difference(loss: Loss, held: Held, ours: Floats, theirs: Floats, alpha: float = ALPHA) -> Bounds:
    """
    Return the mean loss of our predictions less that of theirs; below zero ours are better.

    Parameters
    ----------
    loss : Loss
        Of rows, or of sets: then by resampling blocks of rows.
    held : Held
        Rows with their labels, in order of time.
    ours, theirs : ndarray of shape (n,) or (n, n_classes)
        Predictions in the form that the loss asks for.
    alpha : float
        Chance of each side.
    """
    if loss.per == "row":
        mine, others = loss.rows(held.labels, ours), loss.rows(held.labels, theirs)
        found = bounds_of(mine - others, weights=held.weights, entities=held.entity, alpha=alpha)
        if found.method == "constant" and found.estimate == 0 and len(held):
            # No row tells the two apart: that is no proof that none ever will.
            span = loss.bounds[1] - loss.bounds[0]
            most = span if np.isfinite(span) else 2 * float(np.abs(np.concatenate([mine, others])).max())
            high = clopper_pearson_upper(0, found.n, alpha) * most
            found = replace(found, low=-high, high=high, error=most / found.n, method="Clopper-Pearson")
        return found
    drawn = resampled_interval(
        lambda at: loss.of_set(held.labels[at], ours[at]) - loss.of_set(held.labels[at], theirs[at]),
        len(held),
        level=1 - 2 * alpha,
    )
    return Bounds(drawn.estimate, drawn.low, drawn.high, (drawn.high - drawn.low) / 3.29, len(held), "block bootstrap")


def mean_loss(loss: Loss, held: Held, predicted: Floats) -> float:
    """Return the mean loss of some predictions, weighted; or the loss of the set."""
    if loss.per == "row":
        return float(np.average(loss.rows(held.labels, predicted), weights=held.weight))
    return loss.of_set(held.labels, predicted)


def parts_of(held: Held, fewest: int) -> list[tuple[str, Held]]:
    """Return the rows of each value of each declared group that has so many rows."""
    made = []
    for name, values in held.groups.items():
        names, codes = np.unique(kinds(values), return_inverse=True)
        made += [
            (f"{name}={kind}", held.where(codes == code))
            for code, kind in enumerate(names)
            if (codes == code).sum() >= fewest
        ]
    return made
