"""Models by what they lost in each period of a history: for the answer sheet of a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Record
from mlwild.comparisons.given import Losses
from mlwild.comparisons.ordered import in_time
from mlwild.errors import DataError
from mlwild.jsonable import plain

Floats = NDArray[np.float64]


def compare_models(
    names: Sequence[str], losses_by_period: Floats, weights: Floats, *, level: float = 0.95
) -> tuple[list[Record], dict[str, Any]]:
    """
    Compare models over the periods of a history: one record a model, and the set of the best.

    The unit is the period, not the row: rows of one week resemble each other. Two models are compared
    by fixed-b HAC, more by the model confidence set.

    Parameters
    ----------
    names : sequence of str
        The first is the living one; differences are from it.
    losses_by_period : ndarray of shape (n_periods, n_models)
        Mean loss of an event in each period, in order of time; lower is better.
    weights : ndarray of shape (n_periods,)
        Number (weight) of events a period; periods without any are left out.
    level : float
        Coverage of the intervals, and of the set.

    Returns
    -------
    records : list of dict
        In the order of the names: name, estimate, low, high, difference (own loss less that of the
        first), difference_low, difference_high, p (of being the best: 1 for the best itself), n,
        method, why, in_best_set. None where it is not known.
    best_set : dict
        Models, level, method, n, why. It holds all models where nothing can be told. And `signs`: the
        first-named model against each rival, by every way of adding periods up; see
        `mlwild.comparisons.signs.loss_signs`.

    Raises
    ------
    DataError
        If the shapes do not agree, or a loss of a period with events is not finite.

    References
    ----------
    .. [1] Hansen, P. R., Lunde, A., & Nason, J. M. (2011). The model confidence set. Econometrica,
       79(2), 453-497.

    Examples
    --------
    >>> losses = np.random.default_rng(0).normal(size=(60, 3)) + [1.0, 1.0, 2.5]
    >>> records, best_set = compare_models(["a", "b", "c"], losses, np.ones(60))
    >>> best_set["models"], [record["in_best_set"] for record in records]
    (['a', 'b'], [True, True, False])
    """
    table, weight = np.asarray(losses_by_period, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if table.ndim != 2 or weight.shape != table.shape[:1]:
        raise DataError(f"losses have shape {table.shape} and weights {weight.shape}, need one weight a period.")
    seen = weight > 0
    if not seen.any():
        raise DataError("losses: no period holds a label, so that models cannot be compared.")
    if len(names) == 1:
        return _alone(names[0], table[seen], weight[seen], level)
    found = in_time(Losses(names, table[seen], unit="period", weights=weight[seen]), level)
    place = {name: at for at, name in enumerate(names)}
    records = sorted(plain(found.records), key=lambda record: place[record["name"]])
    return records, {**found.as_dict()["best_set"], "signs": plain(found.tables.get("signs", []))}


def _alone(name: str, losses: Floats, weights: Floats, level: float) -> tuple[list[Record], dict[str, Any]]:
    from mlwild.stats.bootstrap import mean_interval

    found = mean_interval(Losses([name], losses, weights=weights).series[:, 0], level=level)
    method, why = "block bootstrap", "there is one model: nothing to compare it with"
    record = {"name": name, "estimate": found.estimate, "low": found.low, "high": found.high}
    record |= {"difference": 0.0, "difference_low": 0.0, "difference_high": 0.0, "p": None}
    record |= {"n": len(losses), "method": method, "why": why, "in_best_set": True}
    best_set = {"models": [name], "level": level, "method": method, "n": len(losses), "why": f"{why}.", "signs": []}
    return [plain(record)], best_set
