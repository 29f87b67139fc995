"""How far CBPE is off over blocks of its labelled reference, beyond sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlwild.stats.calibration import Isotonic, isotonic
from mlwild.stats.coins import Metric, coins, expanded
from mlwild.stats.dispersion import Dispersion, block_gaps, dispersion

Floats = NDArray[np.float64]


def cbpe_dispersions(
    scores: Floats,
    outcomes: Floats,
    predicted: Floats | None = None,
    *,
    window_rows: int,
    metrics: Sequence[Metric] = ("accuracy", "auc"),
) -> dict[Metric, Dispersion]:
    """
    Return how far `cbpe` is off over blocks of the reference, beyond sampling.

    Each block of about as many rows as a window has is estimated by a curve made on the other half of
    the reference, and held against its labels. The interval of a window that is widened by it assumes that windows
    depart from the reference as its blocks depart from one another: what never moved before is not in it.

    Parameters
    ----------
    scores, outcomes : ndarray of shape (n_reference,)
        Labelled rows in order of time; outcomes 0 or 1.
    predicted : ndarray of shape (n_reference,), optional
        Predicted class, 0 or 1; default: score at least 0.5.
    window_rows : int
        Rows of the windows that are to be estimated.
    metrics : sequence of {"accuracy", "brier", "log_loss", "auc"}

    Returns
    -------
    dict of metric to Dispersion

    Raises
    ------
    DataError
        As `cbpe` and `isotonic`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores, block = rng.random(8000), np.arange(8000) // 500
    >>> calm, wild = ((rng.random(8000) < 0.5 + (scores - 0.5) * sharpness[block]).astype(float)
    ...               for sharpness in (np.ones(16), rng.uniform(0.5, 1.0, 16)))
    >>> [round(cbpe_dispersions(scores, labels, window_rows=500)["accuracy"].excess, 1) for labels in (calm, wild)]
    [0.6, 3.3]
    """
    scores, outcomes = np.asarray(scores, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    proper = not {"brier", "log_loss"}.isdisjoint(metrics)

    def fit(half: slice) -> Isotonic:
        return isotonic(scores[half], outcomes[half])

    def judge(curve: Isotonic, block: slice) -> list[tuple[float, float]]:
        classes = None if predicted is None else predicted[block]
        rows = coins(scores[block], classes, curve=curve, probabilities=proper)
        known = replace(rows, chance=outcomes[block][rows.order])  # coins that have fallen
        found = []
        for metric in metrics:
            estimate, slope = expanded(rows, metric)
            found.append((expanded(known, metric)[0] - estimate, math.hypot(*rows.noise(slope)) ** 2))
        return found

    gaps, noise = block_gaps(len(scores), window_rows, fit=fit, judge=judge)
    return {metric: dispersion(gaps[:, place], noise[:, place]) for place, metric in enumerate(metrics)}
