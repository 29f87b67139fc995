"""From predictions to positions to returns: what a strategy makes, net of costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError
from mlwild.losses import Loss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trading:
    """
    How predictions are traded: the label of a row is the return of its bar, known after it.

    Parameters
    ----------
    position : callable
        From predictions, shape (n,), to positions in shares of the capital; default their sign.
    cost : float
        Cost of one unit of turnover, as a share.
    per_year : float
        Bars in a year.
    tries : int, optional
        Strategies that were tried in all, where that is more than the app holds.

    Raises
    ------
    AppError
        If a number is out of its range.

    Examples
    --------
    >>> Trading(cost=0.0005).loss.rows(np.array([0.01, -0.02]), np.array([1.0, 1.0])).tolist()
    [-0.01, 0.02]
    """

    position: Callable[[Floats], Floats] = np.sign
    cost: float = 0.0
    per_year: float = 252.0
    tries: int | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if not callable(self.position):
            raise AppError(f"trading.position: {self.position!r} is not a function of predictions.")
        if not 0 <= self.cost < 1:
            raise AppError(f"trading.cost: {self.cost!r} is no share of the turnover in [0, 1).")
        if not self.per_year > 0:
            raise AppError(f"trading.per_year: {self.per_year!r} is no number of bars above 0.")

    @property
    def loss(self) -> Loss:
        """Loss of a row: what the position lost on its bar, before costs."""
        return Loss(_lost(self.position), "return lost", bounds=(float("-inf"), float("inf")), unit="of the capital")


def _lost(position: Callable[[Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    def lost(returns: Floats, predicted: Floats) -> Floats:
        return -np.asarray(position(np.asarray(predicted, dtype=np.float64))) * returns

    return lost


@dataclass(frozen=True, eq=False)
class Book:
    """
    Positions and returns, bar by bar.

    Parameters
    ----------
    time : ndarray of int64, shape (n_bars,)
    positions : ndarray of shape (n_bars, n_assets)
        Held over each bar, in shares of the capital of the asset; 0 where there was none.
    returns : ndarray of shape (n_bars, n_assets)
        Of each asset over each bar; 0 where there was none.
    cost : float
        Of one unit of turnover.
    """

    time: Ints
    positions: Floats
    returns: Floats
    cost: float

    def net(self) -> Floats:
        """
        Return the strategy's return by bar, net of costs: the mean over assets, each with the same capital.

        Returns
        -------
        ndarray of shape (n_bars,)
        """
        turnover = np.abs(np.diff(self.positions, axis=0, prepend=0.0))
        return np.asarray((self.positions * self.returns - self.cost * turnover).mean(axis=1))

    def dearer(self, times: float) -> Book:
        """Return the book with so many times the costs."""
        return replace(self, cost=self.cost * times)

    def later(self, bars: int) -> Book:
        """Return the book with every position taken so many bars later."""
        moved = np.zeros_like(self.positions)
        moved[bars:] = self.positions[: len(moved) - bars]
        return replace(self, positions=moved)

    def louder(self, times: float) -> Book:
        """Return the book with returns so many times as far from their mean."""
        mean = self.returns.mean(axis=0)
        return replace(self, returns=np.maximum(mean + times * (self.returns - mean), -0.99))

    def as_one(self) -> Book:
        """Return the book with all assets moving as one: each has the mean's path at its own volatility."""
        spread = self.returns.std(axis=0)
        scaled = self.returns / np.where(spread > 0, spread, 1.0)
        common = scaled.mean(axis=1)
        common = common / (common.std() or 1.0)
        return replace(self, returns=np.maximum(common[:, None] * spread, -0.99))

    def without_feed(self, share: float, rng: np.random.Generator) -> Book:
        """Return the book with no news on a share of the bars: the position of the bar before is kept."""
        dark = rng.random(len(self.time)) < share
        dark[0] = False
        last = np.maximum.accumulate(np.where(dark, 0, np.arange(len(dark))))
        return replace(self, positions=self.positions[last])

    def since(self, bar: int) -> Book:
        """Return the book from a bar on."""
        return replace(self, time=self.time[bar:], positions=self.positions[bar:], returns=self.returns[bar:])


def book_of(time: Ints, asset: Ints | None, positions: Floats, returns: Floats, cost: float) -> Book:
    """
    Lay rows out by bar and asset.

    Parameters
    ----------
    time : ndarray of int64, shape (n_rows,)
    asset : ndarray of int64, shape (n_rows,), or None for one asset
    positions, returns : ndarray of shape (n_rows,)
    cost : float

    Raises
    ------
    DataError
        If an asset has two rows at one time, or a position is not finite.

    Examples
    --------
    >>> book = book_of(np.array([1, 2]), None, np.array([1.0, -1.0]), np.array([0.01, 0.02]), 0.001)
    >>> book.net().round(4).tolist()
    [0.009, -0.022]
    """
    bad = np.flatnonzero(~np.isfinite(positions))
    if len(bad):
        raise DataError(f"trading.position: that of row {bad[0]} is {positions[bad[0]]}; give a finite share.")
    bars, at = np.unique(time, return_inverse=True)
    kinds, of = (np.zeros(1), np.zeros(len(time), np.int64)) if asset is None else np.unique(asset, return_inverse=True)
    cells = at * len(kinds) + of
    if len(np.unique(cells)) < len(cells):
        raise DataError(
            "trading: an asset has two rows at one time. Name the assets with `entity`, one row a bar each."
        )
    made = np.zeros((2, len(bars) * len(kinds)))
    made[0, cells], made[1, cells] = positions, returns
    laid = made.reshape(2, len(bars), len(kinds))
    return Book(bars, laid[0], laid[1], cost)
