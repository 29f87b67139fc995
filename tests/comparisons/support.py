"""Losses and scores made up for tests of comparisons."""

from __future__ import annotations

import math

import numpy as np


def errors(share, draws):
    """Three binomial standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def autoregressive(rng, n, rho, models):
    """Return stationary AR(1) series of unit innovations, shape (n, models)."""
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -rho], rng.normal(size=(n + 200, models)), axis=0)[200:]


def right_or_wrong(both, only_a, only_b, neither):
    """Return errors of two models on the same rows, from the four counts."""
    sizes = [both, only_a, only_b, neither]
    return {"a": np.repeat([1.0, 1.0, 0.0, 0.0], sizes), "b": np.repeat([1.0, 0.0, 1.0, 0.0], sizes)}


def with_moments(rng, n, sharpe, skewed):
    """Return returns with an exact Sharpe ratio a period, of a two-point distribution or normal ones."""
    raw = np.where(np.arange(n) < skewed, -1.0, 0.0) if skewed else rng.normal(size=n)
    raw = rng.permutation(raw)
    unit = (raw - raw.mean()) / raw.std(ddof=1)
    return 0.01 * (unit + sharpe)
