"""A set of models that contains the best, whenever one looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]

#: Stakes of the betting e-processes, as shares of the capital.
STAKES = (0.02, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class SequentialSet:
    """
    A model confidence set that may be looked at after every row; a value, moved on by `feed`.

    Every pair of models has an e-process that bets on "the first is worse"; a model is dropped
    when the mean of its e-processes reaches n_models / (1 - level). No stationarity, independence
    or number of rows is assumed: a model whose running mean of expected losses is never above
    another's is dropped with probability 1 - level at most, however often one looks, and this
    holds for all such models together.

    Parameters
    ----------
    models : int
        Number of models, at least 2.
    level : float
    low, high : float
        Range of the losses, declared before any is seen.
    n : int
        Rows fed.
    dropped : tuple of (int or None)
        For each model the row at which it was dropped, counted from 0.
    e_values : tuple of float
        Each model's evidence against it after the last row; 1 at the start.
    log_capital : ndarray of shape (n_models, n_models, 5), optional
        Logarithm of each bet's capital; zeros at the start.

    References
    ----------
    .. [1] Arnold, S., Gavrilopoulos, G., Schulz, B., & Ziegel, J. (2026). Sequential model
       confidence sets. JRSS-B.
    .. [2] Choe, Y. J., & Ramdas, A. (2024). Comparing sequential forecasters. Operations Research,
       72(4), 1368-1387.

    Examples
    --------
    >>> losses = np.random.default_rng(0).random((1000, 3)) * [0.6, 0.6, 1.0]
    >>> running = SequentialSet(models=3).feed(losses)
    >>> running.included
    (0, 1)
    """

    models: int
    level: float = 0.95
    low: float = 0.0
    high: float = 1.0
    n: int = 0
    dropped: tuple[int | None, ...] = ()
    e_values: tuple[float, ...] = ()
    log_capital: Floats | None = None

    @property
    def included(self) -> tuple[int, ...]:
        """Positions of the models that are left."""
        gone = self.dropped or (None,) * self.models
        return tuple(i for i, row in enumerate(gone) if row is None)

    def feed(self, losses: Floats) -> SequentialSet:
        """
        Feed losses in the order in which they became known.

        Parameters
        ----------
        losses : ndarray of shape (n_rows, n_models)
            In [low, high]; lower is better.

        Returns
        -------
        SequentialSet

        Raises
        ------
        DataError
            If a loss is outside the declared range, or the number of columns is another one.
        """
        losses = np.asarray(losses, dtype=np.float64)
        m = self.models
        if losses.ndim != 2 or losses.shape[1] != m or m < 2:
            raise DataError(f"losses have shape {losses.shape}, need (n_rows, {m}) with at least 2 models.")
        if not ((losses >= self.low) & (losses <= self.high)).all():
            raise DataError(f"a loss is outside [{self.low}, {self.high}]. Hint: declare a wider range, or clip.")
        capital = np.zeros((m, m, len(STAKES))) if self.log_capital is None else self.log_capital
        dropped = list(self.dropped or (None,) * m)
        e_values, bar = np.ones(m), math.log(m / (1 - self.level))
        batch = max(1, 1_000_000 // (m * m * len(STAKES)))
        for first in range(0, len(losses), batch):
            scaled = losses[first : first + batch] / (self.high - self.low)
            lead = scaled[:, :, None] - scaled[:, None, :]  # (rows, m, m): above 0 where the first is worse
            logs = np.log1p(lead[..., None] * np.array(STAKES))
            walk = capital + np.cumsum(logs, axis=0)
            # Its bet against itself is worth 1, and left out of the mean.
            walk[:, np.arange(m), np.arange(m)] = -np.inf
            mixed = np.logaddexp.reduce(walk.reshape(len(walk), m, -1), axis=2) - math.log((m - 1) * len(STAKES))
            for i in np.flatnonzero((mixed >= bar).any(axis=0)):
                if dropped[i] is None:
                    dropped[i] = self.n + first + int(np.argmax(mixed[:, i] >= bar))
            capital = walk[-1]
            capital[np.arange(m), np.arange(m)] = 0.0
            e_values = np.exp(np.minimum(mixed[-1], 700.0))
        if not len(losses):
            return self
        return replace(
            self,
            n=self.n + len(losses),
            dropped=tuple(dropped),
            e_values=tuple(e_values.tolist()),
            log_capital=capital,
        )
