"""How far back to look: the adaptive rolling window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RollingWindow:
    """
    A mean over the blocks that still speak for the present.

    Parameters
    ----------
    estimate : float
        Mean over the blocks in the window.
    blocks : int
        Number of newest blocks in the window.
    radius : float
        Its sampling error (half-width at the level asked for), without the bias of looking back.
    """

    estimate: float
    blocks: int
    radius: float


def adaptive_rolling_window(
    means: Floats,
    spreads: Floats,
    sizes: Floats,
    *,
    weights: Floats | None = None,
    delta: float = 0.1,
    bound: float = 0.0,
) -> RollingWindow:
    """
    Estimate the present mean from past blocks without knowing how fast it drifts.

    For each number k of newest blocks the sampling error is
    ``psi_k = v_k sqrt(2 ln(2/delta) / B_k) + 8 M ln(2/delta) / (3 (B_k - 1))`` and the bias is at least
    ``phi_k = max_{i <= k} (|mu_k - mu_i| - psi_i - psi_k)_+``; the window that minimises their sum is taken.

    Parameters
    ----------
    means, spreads, sizes : ndarray of shape (n_blocks,)
        Mean, standard deviation and number of rows of each block, oldest first.
    weights : ndarray of shape (n_blocks,), optional
        What each block counts for in a mean; default its number of rows.
    delta : float
        Chance that a sampling error exceeds its bound.
    bound : float
        Bound M of the loss; 0 leaves its term out, as the authors do in their experiments.

    Returns
    -------
    RollingWindow

    Raises
    ------
    ValueError
        If there is no block, or a block has no row.

    References
    ----------
    .. [1] Han, E., Huang, C., & Wang, K. (2024). Model assessment and selection under temporal
       distribution shift. ICML, PMLR 235.

    Examples
    --------
    >>> steady = adaptive_rolling_window(np.full(20, 1.0), np.full(20, 0.5), np.full(20, 50.0))
    >>> jump = adaptive_rolling_window(np.r_[np.full(15, 3.0), np.full(5, 1.0)], np.full(20, 0.5), np.full(20, 50.0))
    >>> steady.blocks, jump.blocks, jump.estimate
    (20, 5, 1.0)
    """
    if not len(means) or (sizes <= 0).any():
        raise ValueError("windows: every block needs at least one row.")
    given = (means, spreads, sizes, sizes if weights is None else weights)
    mean, spread, size, weight = (np.asarray(values, dtype=np.float64)[::-1] for values in given)
    rows, whole = np.cumsum(size), np.cumsum(weight)
    mu = np.cumsum(mean * weight) / whole
    # The variance over a window: within its blocks and between them.
    second = np.cumsum((spread**2 + mean**2) * weight) / whole
    deviation = np.sqrt(np.maximum(second - mu**2, 0.0))
    log = np.log(2 / delta)
    psi = deviation * np.sqrt(2 * log / rows)
    if bound:
        psi = psi + 8 * bound * log / (3 * np.maximum(rows - 1, 1))
    phi = np.array(
        [max(float((np.abs(mu[k] - mu[: k + 1]) - psi[: k + 1] - psi[k]).max()), 0.0) for k in range(len(mu))]
    )
    best = int(np.argmin(phi + psi))
    return RollingWindow(float(mu[best]), best + 1, float(psi[best]))
