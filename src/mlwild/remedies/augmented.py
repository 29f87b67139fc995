"""Augmentation within class and slice: transformed rows to learn from, with their own labels."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.errors import DataError
from mlwild.remedies import fits, rows
from mlwild.remedies.slices import Bools, groups
from mlwild.remedies.transforms import Spliced, Transform
from mlwild.remedies.wrapper import Wrapper, need

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPLICED = Spliced()
DONORS = ("same", "across", "others", "all")


@dataclass(eq=False, repr=False)
class Augmented(Wrapper):
    """
    The base model on the rows and on transformed copies of them (model patching).

    A transform is applied to the rows of one class and one side of the slice at a time; each copy keeps its
    row's label. A transform that borrows from other rows may borrow from the same group, or from a group
    that differs in what should not matter, so that it goes with the label no longer.

    Parameters
    ----------
    base : estimator or callable
    slice : callable, str or None
        Without one, groups are the classes.
    random_state : int, optional
    transform : callable or sequence of callables
        ``f(X, rng)``, which returns as many rows of the same kind, or ``f(X, rng, donors=rows)``. Each makes
        its own copies.
    copies : int
        Copies by each transform, at least 1.
    only_slice : bool
        Whether rows of the slice only are copied.
    donors : {"same", "across", "others", "all"}
        Where rows are borrowed from: the same group; the same class on the other side of the slice; other
        classes; anywhere. Where there is no such row, from the same group.
    consistency : float
        In [0, 1). Above 0 the model is fitted a second time, to labels that are moved by this share towards
        the first model's mean prediction of a row and its copies, so that these are predicted alike.

    Attributes
    ----------
    n_copies_ : int

    Raises
    ------
    AppError
        If a setting is wrong.
    DataError
        If (in fit) a transform returns another number of rows.

    References
    ----------
    .. [1] Goel, K., Gu, A., Li, Y., & Re, C. (2021). Model patching: closing the subgroup performance gap with data
       augmentation. ICLR, section 3.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 3.0])
    >>> model = Augmented(LinearRegression(), transform=lambda X, rng: X + rng.normal(size=X.shape), copies=9)
    >>> model.fit(X, y).n_copies_, bool(model.model_.coef_[0] < 0.8)  # noise in a column flattens its slope
    (27, True)
    """

    transform: Transform | Sequence[Transform] = SPLICED
    copies: int = 1
    only_slice: bool = False
    donors: str = "same"
    consistency: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        need(all(callable(one) for one in self.transforms), "transform", f"{self.transform!r} cannot be called.")
        need(self.copies >= 1, "copies", f"{self.copies!r} is not at least 1.")
        need(self.donors in DONORS, "donors", f"{self.donors!r} is not one of {', '.join(DONORS)}.")
        need(0 <= self.consistency < 1, "consistency", f"{self.consistency!r} does not lie in [0, 1).")
        need(not self.only_slice or self.slice is not None, "slice", "only_slice=True needs one.")

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """The transforms, one or several."""
        return tuple(self.transform) if isinstance(self.transform, Sequence) else (self.transform,)

    @property
    def fits(self) -> int:
        """Fits of the base model that one fit takes."""
        return 2 if self.consistency else 1

    def fit(self, X: Any, y: Any) -> Augmented:  # noqa: N803
        """Make the copies, and fit the base model to all rows."""
        seen, labels, mask = self.opened(X, y)
        made, source = self._copies(seen, labels, mask)
        self.n_copies_ = len(source)
        whose = np.concatenate([np.arange(len(labels)), source])
        stacked, wanted = rows.stack([seen, *made]), labels[whose]
        self.model_ = models.fit(self.base, stacked, wanted, self.seed)
        if self.consistency:
            self._make_consistent(stacked, wanted, whose)
        return self

    def _copies(self, X: Any, labels: NDArray[Any], mask: Bools | None) -> tuple[list[Any], Ints]:  # noqa: N803
        """Return transformed rows, and the row that each comes from."""
        rng = np.random.default_rng(self.seed)
        codes, n_groups = groups(labels, mask, classifies=self.classes is not None)
        made, source = [], []
        for transform in self.transforms:
            for group in range(n_groups):
                own = np.flatnonzero(codes == group)
                if self.only_slice and mask is not None and not mask[own[0]]:
                    continue
                lent = rows.take(X, self._lenders(own, codes, labels, mask)) if borrows(transform) else None
                part = rows.take(X, own)
                for _ in range(self.copies):
                    copy = transform(part, rng) if lent is None else transform(part, rng, donors=lent)
                    if rows.count(copy) != len(own):
                        raise DataError(
                            f"transform: gave {rows.count(copy)} rows for {len(own)}. Return one for each, in order."
                        )
                    made.append(copy)
                    source.append(own)
        return made, np.concatenate(source)

    def _lenders(self, own: Ints, codes: Ints, labels: NDArray[Any], mask: Bools | None) -> Ints:
        """Return the rows that a group borrows from."""
        same = codes == codes[own[0]]
        alike = np.ones(len(codes), bool) if self.classes is None else labels == labels[own[0]]
        wanted = {
            "same": same,
            "across": alike & ~same,
            "others": ~alike if self.classes is not None else ~same,
            "all": np.ones(len(codes), bool),
        }[self.donors]
        return np.flatnonzero(wanted if wanted.any() else same)

    def _make_consistent(self, stacked: Any, wanted: NDArray[Any], whose: Ints) -> None:
        """Fit again, to labels between the given ones and the mean prediction of a row and its copies."""
        given = fits.scores(self.model_, stacked, self.classes)
        counts = np.bincount(whose)
        mean = np.column_stack([np.bincount(whose, column) / counts for column in given.T])[whose]
        share = self.consistency
        if self.classes is None:
            target = (1 - share) * wanted.astype(np.float64) + share * mean[:, 0]
            self.model_ = models.fit(self.base, stacked, target, self.seed)
            return
        soft = share * mean
        soft[np.arange(len(wanted)), np.searchsorted(self.classes, wanted)] += 1 - share
        # A soft label is the row once for each class, with the class's share as weight.
        row, kind = np.nonzero(soft > 0.01)
        weights = soft[row, kind]
        self.model_ = fits.fit(self.base, rows.take(stacked, row), self.classes[kind], seed=self.seed, weights=weights)


def borrows(transform: Transform) -> bool:
    """
    Say whether a transform takes rows to borrow from.

    Examples
    --------
    >>> borrows(Spliced()), borrows(lambda X, rng: X)
    (True, False)
    """
    return "donors" in inspect.signature(transform).parameters
