"""Folds: every row is tested on; scikit-learn splitters, refused where the data forbid them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError
from mlwild.splits.rows import Rows, checked, cut, purge

Ints = NDArray[np.int64]
Fold = tuple[Ints, Ints]


@dataclass(frozen=True)
class ShuffledKFold:
    """
    Shuffled folds: refused for dated rows unless allowed by name; a warning to compare with.

    Rows of one entity stay on one side: a model that has seen it, before and after, would be tested on what it
    remembers of it.

    Parameters
    ----------
    rows : Rows
    folds : int
    seed : int
    allow : {"order"} or sequence
        Say ``allow="order"`` to have rows trained on that come after those tested on.

    Examples
    --------
    >>> ShuffledKFold(Rows(np.arange(10)))
    Traceback (most recent call last):
    ...
    mlwild.errors.AppError: splits: shuffled folds train on rows that come after those they test on...
    """

    rows: Rows
    folds: int = 5
    seed: int = 0
    allow: str = ""

    def __post_init__(self) -> None:
        """Refuse what the order forbids."""
        if self.allow != "order":
            raise AppError(
                "splits: shuffled folds train on rows that come after those they test on. Use Purged or Prequential, "
                "or say allow='order' if you want the number as a warning."
            )

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield (train, test) positions; rows of one entity, or one of the groups if given, stay together."""
        n = checked(self.rows, X)
        named = self.rows.entity if groups is None else np.asarray(groups)
        if named is not None and len(named) != n:
            raise DataError(f"groups: {len(named)} for {n} rows. Give one for each row.")
        whom = np.arange(n) if named is None else np.unique(named, return_inverse=True)[1]
        entities = int(whom.max(initial=-1)) + 1
        if entities < self.folds:
            what = "rows" if named is None else "entities"
            raise DataError(f"splits: {entities} {what} cannot be dealt into {self.folds} folds.")
        fold = (np.random.default_rng(self.seed).permutation(entities) % self.folds)[whom]
        for number in range(self.folds):
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds."""
        return self.folds


@dataclass(frozen=True)
class Blocked:
    """
    Contiguous folds; the rest is trained on, before and after.

    An entity may be on both sides, as it is live, where its past is known: see decision 7.

    Parameters
    ----------
    rows : Rows
    folds : int
    allow : str
        A label delay makes labels of training rows overlap the test rows; say ``allow="delay"`` to
        have that, or use `Purged`.

    References
    ----------
    .. [1] Bergmeir, C., & Benitez, J. M. (2012). On the use of cross-validation for time series
       predictor evaluation. Information Sciences, 191, 192-213.

    Examples
    --------
    >>> [test.tolist() for _, test in Blocked(Rows(np.arange(6)), folds=3).split()]
    [[0, 1], [2, 3], [4, 5]]
    """

    rows: Rows
    folds: int = 5
    allow: str = ""

    def __post_init__(self) -> None:
        """Refuse what the label delay forbids."""
        delayed = self.rows.known_at is not None and bool((self.rows.known > self.rows.asked).any())
        if delayed and self.allow != "delay":
            raise AppError(
                "splits: labels come late, so the training rows beside a block were settled during it. Use Purged, or "
                "say allow='delay'."
            )

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield (train, test) positions."""
        n = checked(self.rows, X)
        for test in cut(self.rows.asked, self.folds):
            yield np.setdiff1d(np.arange(n), test, assume_unique=True), test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds."""
        return len(cut(self.rows.asked, self.folds))


@dataclass(frozen=True)
class Purged:
    """
    Contiguous folds without the training rows whose labels overlap the test rows (hv-blocked).

    Parameters
    ----------
    rows : Rows
    folds : int
    embargo : int
        Further time (ns or ticks) after the test rows that is not trained on: what features look
        back over.

    References
    ----------
    .. [1] Racine, J. (2000). Consistent cross-validatory model-selection for dependent data:
       hv-block cross-validation. Journal of Econometrics, 99, 39-61.

    Examples
    --------
    >>> rows = Rows(np.arange(9), np.arange(9) + 1)
    >>> [train.tolist() for train, _ in Purged(rows, folds=3).split()]
    [[4, 5, 6, 7, 8], [0, 1, 7, 8], [0, 1, 2, 3, 4]]
    """

    rows: Rows
    folds: int = 5
    embargo: int = 0

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield (train, test) positions."""
        n = checked(self.rows, X)
        for test in cut(self.rows.asked, self.folds):
            train = np.setdiff1d(np.arange(n), test, assume_unique=True)
            yield purge(self.rows, train, test, self.embargo), test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds."""
        return len(cut(self.rows.asked, self.folds))


@dataclass(frozen=True)
class CombinatorialPurged:
    """
    Every choice of some blocks as the test rows, purged.

    Parameters
    ----------
    rows : Rows
    blocks, tested : int
        Number of blocks, and how many of them are tested on at a time.
    embargo : int

    References
    ----------
    .. [1] Lopez de Prado, M. (2018). Advances in Financial Machine Learning, chapter 12.

    Examples
    --------
    >>> CombinatorialPurged(Rows(np.arange(60))).get_n_splits()
    15
    """

    rows: Rows
    blocks: int = 6
    tested: int = 2
    embargo: int = 0

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: N803
        """Yield (train, test) positions."""
        n = checked(self.rows, X)
        parts = cut(self.rows.asked, self.blocks)
        for chosen in combinations(range(len(parts)), self.tested):
            test = np.concatenate([parts[place] for place in chosen])
            train = np.setdiff1d(np.arange(n), test, assume_unique=True)
            yield purge(self.rows, train, test, self.embargo), test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds."""
        return comb(len(cut(self.rows.asked, self.blocks)), self.tested)
