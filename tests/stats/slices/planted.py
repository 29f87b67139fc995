"""Tables with a slice that is worse, or with none."""

from __future__ import annotations

import numpy as np

from mlwild.stats.slices import members

#: Bins of each feature; the first two make slices of 5 %.
BINS = (4, 5, 10, 10, 3, 2, 8, 10, 10, 6)
#: The slice that is worse: 5 % of the rows.
PLANTED = ((0, 1), (1, 2))

#: Losses whose mean is 1, and which stay so in shape where they are scaled.
SKEWED = {
    "exponential": lambda rng, n: rng.exponential(size=n),
    "log-normal": lambda rng, n: rng.lognormal(-0.5, 1.0, n),
    "no third moment": lambda rng, n: 1.2 * rng.pareto(2.2, n),
}


def table(seed, n=5000):
    """Return codes, the rows of the planted slice, and a generator to draw losses with."""
    rng = np.random.default_rng([9, seed])
    codes = np.column_stack([rng.integers(0, size, n) for size in BINS])
    return codes, members(codes, PLANTED), rng


def errors(seed, base, more=0.2):
    """Return codes, losses of 0 and 1, and the chance of an error of each row."""
    codes, planted, rng = table(seed)
    chance = base + more * planted
    return codes, (rng.random(len(codes)) < chance).astype(float), chance


def losses(seed, law, times=1.0):
    """Return codes, skewed losses, and the mean loss of each row."""
    codes, planted, rng = table(seed)
    mean = np.where(planted, times, 1.0)
    return codes, mean * SKEWED[law](rng, len(codes)), mean


def overlap(codes, conditions):
    """Return shared rows over all rows of a slice and the planted one (Jaccard)."""
    one, other = members(codes, conditions), members(codes, PLANTED)
    return (one & other).sum() / (one | other).sum()
