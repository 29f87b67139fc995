"""A covariance matrix that can be inverted, however few the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]


def ledoit_wolf(rows: Floats) -> tuple[Floats, float]:
    """
    Return the covariance shrunk towards a multiple of the unit matrix, and by how much.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        Finite; their mean is taken off.

    Returns
    -------
    covariance : ndarray of shape (n_columns, n_columns)
    share : float
        Of the unit matrix in it, in [0, 1].

    Raises
    ------
    DataError
        If there is no row or no column, or a value is not finite.

    References
    ----------
    .. [1] Ledoit, O., & Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance
       matrices. Journal of Multivariate Analysis, 88(2), 365-411.

    Examples
    --------
    >>> covariance, share = ledoit_wolf(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.5], [4.0, 3.5]]))
    >>> covariance.round(3).tolist(), round(share, 3)
    ([[1.233, 0.815], [0.815, 1.142]], 0.275)
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise DataError(f"rows of shape {rows.shape} need two axes, at least one row and finite values only.")
    n, columns = rows.shape
    centred = rows - rows.mean(axis=0)
    plain = centred.T @ centred / n
    level = float(np.trace(plain)) / columns
    apart = float((plain**2).sum()) / columns - level**2  # from the unit matrix, per column
    noise = (float(((centred**2).sum(axis=1) ** 2).sum()) / n - float((plain**2).sum())) / (columns * n)
    share = min(max(noise / apart, 0.0), 1.0) if apart > 0 else 0.0
    return (1 - share) * plain + share * level * np.eye(columns), share
