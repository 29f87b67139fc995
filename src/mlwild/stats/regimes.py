"""Regimes of a history: stretches of periods that resemble each other, found from the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Fewest periods of a regime; rounds of expectation and maximisation; least spread of a feature within a regime.
FEWEST, ROUNDS, LEAST = 5, 200, 0.1


@dataclass(frozen=True, eq=False)
class Regimes:
    """
    Regimes of a history.

    Parameters
    ----------
    label : ndarray of int64, shape (n_periods,)
        Regime of each period; 0 is the one with the least mean of the first feature.
    means : ndarray of shape (n_regimes, n_features)
        In the unit of the features.
    stays : float
        Mean chance that the next period is in the same regime; 1 for one regime.
    scores : tuple of float
        Bayesian information criterion by number of regimes, from one on; lower is better, infinite where one
        regime would be too short.
    """

    label: Ints
    means: Floats
    stays: float
    scores: tuple[float, ...]

    @property
    def number(self) -> int:
        """Number of regimes."""
        return len(self.means)


def regimes(features: Floats, *, most: int = 4) -> Regimes:
    """
    Find regimes by a Gaussian hidden Markov model whose number of states has the best Bayesian criterion.

    A model with a state of fewer than five periods does not count. Starts are deterministic: quantiles along the
    first principal direction, and along time.

    Parameters
    ----------
    features : ndarray of shape (n_periods, n_features)
        In order of time; the first orders the regimes.
    most : int
        Greatest number of regimes.

    Returns
    -------
    Regimes

    Raises
    ------
    DataError
        If a feature is not finite.

    References
    ----------
    .. [1] Rabiner, L. R. (1989). A tutorial on hidden Markov models. Proceedings of the IEEE, 77(2), 257-286.
    .. [2] Hamilton, J. D. (1989). A new approach to the economic analysis of nonstationary time series and the
       business cycle. Econometrica, 57(2), 357-384.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> calm, wild = rng.normal(0.0, 1.0, (30, 1)), rng.normal(6.0, 1.0, (15, 1))
    >>> found = regimes(np.concatenate([calm, wild, calm]))
    >>> found.number, found.label[[0, 35, 60]].tolist()
    (2, [0, 1, 0])
    """
    raw = np.asarray(features, dtype=np.float64)
    raw = raw[:, None] if raw.ndim == 1 else raw
    if not np.isfinite(raw).all():
        period, column = (int(place) for place in np.argwhere(~np.isfinite(raw))[0])
        raise DataError(f"features: that of column {column} in period {period} is {raw[period, column]}.")
    spread = raw.std(axis=0)
    values = (raw - raw.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    values = values[:, spread > 0]
    one = Regimes(np.zeros(len(raw), np.int64), raw.mean(axis=0, keepdims=True), 1.0, ())
    if not values.shape[1] or len(raw) < 2 * FEWEST:
        return one
    scores, best = (
        [
            _criterion(
                _log_normal(values, np.zeros((1, values.shape[1])), np.ones((1, values.shape[1])))[:, 0].sum(),
                1,
                values,
            )
        ],
        None,
    )
    for number in range(2, most + 1):
        if len(raw) < number * FEWEST:
            break
        fitted = [_fit(values, start) for start in _starts(values, number)]
        whole = [one for one in fitted if np.bincount(one.label, minlength=number).min() >= FEWEST]
        if not whole:
            scores.append(math.inf)
            continue
        top = max(whole, key=lambda one: one.likelihood)
        scores.append(_criterion(top.likelihood, number, values))
        if scores[-1] < min(scores[:-1]):
            best = top
    if best is None:
        return Regimes(one.label, one.means, 1.0, tuple(scores))
    return _ordered(raw, best, tuple(scores))


@dataclass(frozen=True, eq=False)
class _Fit:
    label: Ints
    likelihood: float
    stays: float


def _criterion(likelihood: float, states: int, values: Floats) -> float:
    """Return the Bayesian information criterion: means, variances, transitions and the start are counted."""
    n, d = values.shape
    free = 2 * states * d + states * (states - 1) + states - 1
    return float(-2 * likelihood + free * math.log(n))


def _starts(values: Floats, number: int) -> list[Ints]:
    _, _, directions = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    along = values @ directions[0]
    ranks = np.argsort(np.argsort(along, kind="stable"), kind="stable")
    time = np.arange(len(values))
    return [ranks * number // len(values), time * number // len(values)]


def _log_normal(values: Floats, means: Floats, variances: Floats) -> Floats:
    """Return the log density of each period in each state, shape (n, n_states)."""
    gap = values[:, None, :] - means[None]
    return np.asarray(-0.5 * (gap**2 / variances + np.log(2 * math.pi * variances)).sum(axis=2))


def _fit(values: Floats, start: Ints) -> _Fit:
    """Run expectation and maximisation from a first labelling until the likelihood stands still."""
    states = int(start.max()) + 1
    shares = np.eye(states)[start]
    moves = np.full((states, states), 0.1 / max(states - 1, 1))
    np.fill_diagonal(moves, 0.9)
    begin = np.full(states, 1.0 / states)
    likelihood = -math.inf
    for _ in range(ROUNDS):
        mass = shares.sum(axis=0) + 1e-9
        means = shares.T @ values / mass[:, None]
        squares = shares.T @ values**2 / mass[:, None] - means**2
        density = _log_normal(values, means, np.maximum(squares, LEAST**2))
        shares, pairs, now = _smoothed(density, moves, begin)
        # One move each way is added: a move that was never seen is not impossible.
        moves = (pairs + 1.0) / (pairs + 1.0).sum(axis=1, keepdims=True)
        begin = (shares[0] + 1.0 / states) / 2.0
        if now - likelihood < 1e-6:
            break
        likelihood = now
    return _Fit(shares.argmax(axis=1), max(likelihood, now), float(np.diag(moves).mean()))


def _smoothed(density: Floats, moves: Floats, begin: Floats) -> tuple[Floats, Floats, float]:
    """Return chances of states, expected counts of moves, and the log likelihood (forward-backward, scaled)."""
    n, states = density.shape
    top = density.max(axis=1, keepdims=True)
    chance = np.exp(density - top)
    forward, scale = np.empty((n, states)), np.empty(n)
    now = begin * chance[0]
    for k in range(n):
        if k:
            now = (forward[k - 1] @ moves) * chance[k]
        scale[k] = now.sum()
        forward[k] = now / scale[k]
    backward = np.ones((n, states))
    for k in range(n - 2, -1, -1):
        backward[k] = moves @ (chance[k + 1] * backward[k + 1]) / scale[k + 1]
    shares = forward * backward
    shares /= shares.sum(axis=1, keepdims=True)
    pairs = np.zeros((states, states))
    for k in range(n - 1):
        pairs += forward[k][:, None] * moves * (chance[k + 1] * backward[k + 1])[None] / scale[k + 1]
    return shares, pairs, float(np.log(scale).sum() + top.sum())


def _ordered(raw: Floats, fitted: _Fit, scores: tuple[float, ...]) -> Regimes:
    kinds = np.unique(fitted.label)
    means = np.stack([raw[fitted.label == kind].mean(axis=0) for kind in kinds])
    order = np.argsort(means[:, 0], kind="stable")
    rank = np.empty(len(kinds), np.int64)
    rank[order] = np.arange(len(kinds))
    label = rank[np.searchsorted(kinds, fitted.label)]
    return Regimes(label, means[order], fitted.stays, scores)
