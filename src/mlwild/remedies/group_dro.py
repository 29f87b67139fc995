"""Group DRO: weights that grow where the loss is greatest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.remedies import fits, rows
from mlwild.remedies.slices import groups
from mlwild.remedies.wrapper import Wrapper, need, need_slice

Floats = NDArray[np.float64]

#: One row in so many of each group is held out to measure the group's loss.
HELD = 4


@dataclass(eq=False, repr=False)
class GroupDRO(Wrapper):
    """
    The base model fitted against the worst mixture of groups, by exponentiated-gradient weights.

    Groups are the slice and the rest, within each class unless `by_class` is False. In each round the base
    model is fitted to three rows in four, weighted by group, and the weight of a group is multiplied by
    ``exp(step * loss)`` of its held-out rows: the loss of rows learned from says little of a model that can
    remember them. The last fit is on all rows with the mean weights of the rounds, which for losses convex
    in the model come near those of the minimax solution as rounds are added. A group whose labels are
    noise draws weight to itself and is not mended: rehearse before you believe.

    Parameters
    ----------
    base : estimator or callable
    slice : callable or str
    random_state : int, optional
    rounds : int
        Rounds of weighting, at least 1.
    step : float, optional
        Rate of the weights, above 0. Default ``sqrt(8 ln(n_groups) / rounds)``, that of Hedge for losses in
        [0, 1].
    adjust : float
        Generalisation adjustment C: ``C / sqrt(rows of the group)`` is added to its loss, at least 0.
    by_class : bool
    way : {"auto", "weight", "resample"}
        As for `Reweighted`.

    Attributes
    ----------
    weights_ : ndarray of shape (n_groups,)
        Mean share of the whole weight by group; they sum to one.

    Raises
    ------
    AppError
        If a setting is wrong, or (in fit) there is no slice.

    References
    ----------
    .. [1] Sagawa, S., Koh, P. W., Hashimoto, T. B., & Liang, P. (2020). Distributionally robust neural networks
       for group shifts. ICLR, algorithm 1 and section 3.3.
    .. [2] Freund, Y., & Schapire, R. E. (1999). Adaptive game playing using multiplicative weights. Games and
       Economic Behavior, 29, 79-103.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> x = np.linspace(-1, 1, 80)
    >>> few = np.arange(80) % 8 == 0
    >>> X, y = np.column_stack([x, few]), np.where(few, -x, x)
    >>> plain = LinearRegression().fit(X[:, :1], y).coef_[0]
    >>> model = GroupDRO(LinearRegression(), slice="x1", rounds=20).fit(X, y)
    >>> round(float(plain), 2), bool(abs(model.model_.coef_[0]) < 0.3)
    (0.75, True)
    """

    rounds: int = 5
    step: float | None = None
    adjust: float = 0.0
    by_class: bool = True
    way: str = "auto"

    def __post_init__(self) -> None:
        """Check the settings."""
        need(self.rounds >= 1, "rounds", f"{self.rounds!r} is not at least 1.")
        need(self.step is None or 0 < self.step < math.inf, "step", f"{self.step!r} is not a number above 0.")
        need(0 <= self.adjust < math.inf, "adjust", f"{self.adjust!r} is not a number of at least 0.")
        need(self.way in fits.WAYS, "way", f"{self.way!r} is not one of {', '.join(fits.WAYS)}.")

    @property
    def fits(self) -> int:
        """Fits of the base model that one fit takes."""
        return self.rounds + 1

    def fit(self, X: Any, y: Any) -> GroupDRO:  # noqa: N803
        """Play the rounds, then fit the base model with their mean weights."""
        need_slice(self)
        seen, labels, mask = self.opened(X, y)
        codes, n_groups = groups(labels, mask, classifies=self.by_class and self.classes is not None)
        sizes = np.bincount(codes, minlength=n_groups)
        held = rows.every(codes, HELD)
        part = rows.take(seen, np.flatnonzero(~held))
        tested = rows.take(seen, np.flatnonzero(held))
        step = self.step or math.sqrt(8 * math.log(max(n_groups, 2)) / self.rounds)
        share = np.full(n_groups, 1.0 / n_groups)
        total, scale = np.zeros(n_groups), 0.0
        for number in range(self.rounds):
            total += share
            weights = (share / sizes)[codes]
            seed = self.seed + number
            model = fits.fit(self.base, part, labels[~held], seed=seed, weights=weights[~held], way=self.way)
            predicted = fits.scores(model, tested, self.classes)
            lost = fits.row_losses(predicted, labels[held], self.classes)
            means = _means(lost, codes[held], n_groups)
            scale = scale or max(float(means.max()), 1e-300)
            by_group = means / scale + self.adjust / np.sqrt(sizes)
            share *= np.exp(step * (by_group - by_group.max()))
            share /= share.sum()
        self.weights_ = total / self.rounds
        final = (self.weights_ / sizes)[codes]
        self.model_ = fits.fit(self.base, seen, labels, seed=self.seed, weights=final, way=self.way)
        return self


def _means(lost: Floats, codes: NDArray[np.int64], n_groups: int) -> Floats:
    """Return the mean loss of each group; a group without a row has that of all."""
    counts = np.bincount(codes, minlength=n_groups)
    sums = np.bincount(codes, lost, n_groups)
    overall = float(lost.mean()) if len(lost) else 0.0
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), overall), dtype=np.float64)
