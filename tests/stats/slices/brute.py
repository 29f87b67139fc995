"""Every slice of a small table, one after the other."""

from __future__ import annotations

import itertools

import numpy as np

from mlwild.stats.slices import members


def every_slice(codes, levels):
    """Yield (conditions, rows) of each conjunction of bins of different features, the empty ones too."""
    for level in range(1, levels + 1):
        for features in itertools.combinations(range(codes.shape[1]), level):
            for bins in itertools.product(*(np.unique(codes[:, feature]).tolist() for feature in features)):
                conditions = tuple(zip(features, bins, strict=True))
                yield conditions, members(codes, conditions)


def sliceline_scores(codes, errors, *, alpha, levels, support, weights=None):
    """Return {conditions: score} of all slices with support and a score above zero, by the paper's formula."""
    weights = np.ones(len(errors)) if weights is None else weights
    n, mean = weights.sum(), (weights * errors).sum() / weights.sum()
    made = {}
    for conditions, rows in every_slice(codes, levels):
        size = weights[rows].sum()
        if size >= support and size > 0:
            inside = (weights[rows] * errors[rows]).sum() / size
            score = alpha * (inside / mean - 1) - (1 - alpha) * (n / size - 1)
            if score > 1e-12:
                made[conditions] = score
    return made
