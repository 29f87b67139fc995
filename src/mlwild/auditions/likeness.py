"""How much past rows resemble the newest ones: weights for importance-weighted estimates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.stats.reweighting import clipped
from mlwild.triangle import Survey

Floats = NDArray[np.float64]

#: Rows of each side that the classifier learns from at most.
MOST_ROWS = 20_000


def likeness(survey: Survey, rows: NDArray[np.int64], cutoff: int) -> Floats:
    """
    Return the density ratio of the newest rows to past ones, at the past ones.

    A classifier learns to tell the rows of the last period before the cutoff (their labels are not
    needed) from the others, cross-fitted; the ratio is p / (1 - p) times the ratio of rows, clipped at
    its 99th percentile.

    Parameters
    ----------
    survey : Survey
    rows : ndarray of int64, shape (n,)
        Past rows; may name a row several times.
    cutoff : int

    Returns
    -------
    ndarray of shape (n,)
        With mean about one.

    References
    ----------
    .. [1] Bickel, S., Brueckner, M., & Scheffer, T. (2009). Discriminative learning under covariate shift.
       JMLR, 10, 2137-2155.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    start = survey.grid.row_start
    newest = np.arange(start[cutoff - 1], start[cutoff])
    distinct, back = np.unique(rows, return_inverse=True)
    learned = _thinned(np.setdiff1d(distinct, newest)), _thinned(newest)
    if min(map(len, learned)) < 50:
        return np.ones(len(rows))
    X = frames.matrix(survey.features)  # noqa: N806  the field's name
    both = np.concatenate(learned)
    side = np.repeat([0, 1], [len(learned[0]), len(learned[1])])
    chance = np.full(len(distinct), np.nan)
    made = np.zeros(len(distinct))
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    for train, test in folds.split(both, side):
        model = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=0)
        with threadpool_limits(limits=1):  # small fits: threads would wait for each other
            model.fit(frames.learnable(X[both[train]]), side[train])
            p = model.predict_proba(X[distinct])[:, 1]
        held = np.isin(distinct, both[test])
        chance[held] = p[held]  # a row that was learned from is judged by a model that did not see it
        made += p / folds.n_splits
    chance = np.where(np.isnan(chance), made, chance).clip(1e-6, 1 - 1e-6)
    ratio = chance / (1 - chance) * len(learned[0]) / len(learned[1])
    return np.asarray(clipped(ratio)[back])


def _thinned(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows if len(rows) <= MOST_ROWS else rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]
