"""How much each reference row resembles the window: importance weights from a classifier of features."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.monitors.scene import Scene
from mlwild.stats.distances import psi
from mlwild.stats.reweighting import clipped

Floats = NDArray[np.float64]

#: Rows of each side that the classifier learns from; columns that it reads, those that moved most; groups of
#: bins that a column of numbers is read in.
MOST_ROWS, MOST_COLUMNS, GROUPS = 2_500, 20, 5
_INDICATORS = np.eye(GROUPS + 1)


def spaced(n: int, most: int) -> NDArray[np.int64]:
    """
    Return at most so many positions among n, evenly spaced.

    Examples
    --------
    >>> spaced(10, 4).tolist(), spaced(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(np.int64)


@cache
def _threads() -> Any:
    import sklearn.linear_model  # noqa: F401  the libraries count that are loaded when the controller is made
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> Any:
    """Return a context with one thread: for tables as small as these, several get in each other's way."""
    return _threads().limit(limits=1)


def density_ratio(scene: Scene) -> Floats:
    """
    Return the density of the window's features over that of the reference, at its labelled rows.

    A logistic regression on binned features tells the two apart, additive in the columns: the ratio is
    p / (1 - p) times the ratio of rows, clipped at its 99th percentile.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    ndarray of shape (n_known,)
        One a row of ``scene.known``; any scale.

    References
    ----------
    .. [1] Bickel, S., Brueckner, M., & Scheffer, T. (2009). Discriminative learning under covariate shift.
       JMLR, 10, 2137-2155.
    """
    return scene.remember("density ratio", lambda: _density_ratio(scene), of_reference=False)


def _density_ratio(scene: Scene) -> Floats:
    from sklearn.linear_model import LogisticRegression

    there, here = scene.known.bins, scene.window.bins
    columns = _columns(scene, there.shape[1])
    if not len(columns) or not len(here):
        return np.ones(len(there))
    few = there[spaced(len(there), MOST_ROWS)][:, columns], here[spaced(len(here), MOST_ROWS)][:, columns]
    both = np.concatenate(few)
    groups = [_groups(column) for column in both.T]
    X = np.concatenate(  # noqa: N806  the field's name
        [_INDICATORS[group[column], 1 : int(group.max()) + 1] for column, group in zip(both.T, groups, strict=True)],
        axis=1,
    )
    if not X.shape[1]:
        return np.ones(len(there))
    side = np.repeat([0, 1], [len(few[0]), len(few[1])])
    # The penalty keeps the ratio finite where a side has no rows in a group.
    with one_thread():
        model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-3, max_iter=50).fit(X, side)
    score = np.full(len(there), float(model.intercept_[0]))
    place = 0
    for column, group in zip(columns, groups, strict=True):
        size = int(group.max())
        score += np.concatenate([[0.0], model.coef_[0, place : place + size]])[group[there[:, column]]]
        place += size
    return np.asarray(clipped(np.exp(np.clip(score, -12, 12)) * len(few[0]) / len(few[1])))


def _columns(scene: Scene, n: int) -> NDArray[np.int64]:
    """Return the columns that moved most, in order."""
    if n <= MOST_COLUMNS:
        return np.arange(n)
    moved = np.array([psi(move.reference, move.window).value if move.comparable else 0.0 for move in scene.moved])
    return np.sort(np.argsort(-moved, kind="stable")[:MOST_COLUMNS])


def _groups(bins: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return a group for each bin: neighbours of about equal mass; the missing apart."""
    rows = np.bincount(bins, minlength=256)
    mass = np.cumsum(rows[1:]) - rows[1:] / 2
    group = np.minimum((mass * GROUPS / max(rows[1:].sum(), 1)).astype(np.int64), GROUPS - 1) + 1
    made = np.concatenate([[0], group])
    used = np.unique(made[rows > 0])
    return np.searchsorted(used, made).clip(0, len(used) - 1)
