"""Walks: train on the past, test on what follows; scikit-learn splitters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.splits.rows import Rows, checked, cut

Ints = NDArray[np.int64]
Fold = tuple[Ints, Ints]


@dataclass(frozen=True)
class Prequential:
    """
    Train on the past, test on the next block; the past grows or slides.

    Parameters
    ----------
    rows : Rows
    blocks : int
        Number of blocks; the first is only trained on.
    window : int, optional
        Train on so many last blocks; default all.
    gap : int
        Blocks left out between training and test, beyond the label delay.

    References
    ----------
    .. [1] Cerqueira, V., Torgo, L., & Mozetic, I. (2020). Evaluating time series forecasting
       models. Machine Learning, 109, 1997-2028.

    Examples
    --------
    >>> rows = Rows(np.arange(8), np.arange(8) + 1)
    >>> [(train.tolist(), test.tolist()) for train, test in Prequential(rows, blocks=4).split()]
    [([0, 1], [2, 3]), ([0, 1, 2, 3], [4, 5]), ([0, 1, 2, 3, 4, 5], [6, 7])]
    """

    rows: Rows
    blocks: int = 6
    window: int | None = None
    gap: int = 0
    _parts: list[Ints] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Cut the rows."""
        object.__setattr__(self, "_parts", cut(self.rows.asked, self.blocks))

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield (train, test) positions; only labels known when a block opens are trained on."""
        checked(self.rows, X)
        asked, known = self.rows.asked, self.rows.known
        for place in range(1 + self.gap, len(self._parts)):
            last = place - self.gap
            first = 0 if self.window is None else max(last - self.window, 0)
            past = np.concatenate(self._parts[first:last])
            opens = asked[self._parts[place][0]]
            yield past[known[past] <= opens], self._parts[place]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds."""
        return len(self._parts) - 1 - self.gap


@dataclass(frozen=True)
class Holdout:
    """
    Train on the first rows, test on the last.

    Parameters
    ----------
    rows : Rows
    share : float
        Share that is tested on.

    Examples
    --------
    >>> ((train, test),) = Holdout(Rows(np.arange(10)), share=0.2).split()
    >>> test.tolist()
    [8, 9]
    """

    rows: Rows
    share: float = 0.2

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield one (train, test) pair."""
        n = checked(self.rows, X)
        at = int(np.searchsorted(self.rows.asked, self.rows.asked[n - max(1, round(n * self.share))], side="left"))
        past = np.arange(at)
        yield past[self.rows.known[past] <= self.rows.asked[at]], np.arange(at, n)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return 1."""
        return 1


@dataclass(frozen=True)
class RepeatedHoldout:
    """
    Holdouts at random origins: train on a stretch before, test on one after.

    Parameters
    ----------
    rows : Rows
    repeats : int
    train_share, test_share : float
        Lengths of the two stretches, as shares of the rows.
    seed : int

    References
    ----------
    .. [1] Cerqueira, V., Torgo, L., & Mozetic, I. (2020). Machine Learning, 109, 1997-2028 (the
       most accurate for non-stationary series there).

    Examples
    --------
    >>> folds = list(RepeatedHoldout(Rows(np.arange(100))).split())
    >>> len(folds), all(train.max() < test.min() for train, test in folds)
    (10, True)
    """

    rows: Rows
    repeats: int = 10
    train_share: float = 0.6
    test_share: float = 0.1
    seed: int = 0

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield (train, test) positions."""
        n = checked(self.rows, X)
        train, test = int(n * self.train_share), max(1, int(n * self.test_share))
        asked, known = self.rows.asked, self.rows.known
        for origin in np.random.default_rng(self.seed).integers(train, n - test + 1, size=self.repeats):
            # Rows of the origin's own instant are all tested on.
            at = int(np.searchsorted(asked, asked[origin], side="left"))
            past = np.arange(max(at - train, 0), at)
            yield past[known[past] <= asked[at]], np.arange(at, min(at + test, n))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of holdouts."""
        return self.repeats
