"""Reweighting: rows of the slice count more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.remedies import fits
from mlwild.remedies.slices import Bools, groups
from mlwild.remedies.wrapper import Wrapper, need, need_slice

Floats = NDArray[np.float64]

BALANCED = "balanced"


@dataclass(eq=False, repr=False)
class Reweighted(Wrapper):
    """
    The base model on rows of which those of the slice count more.

    Parameters
    ----------
    base : estimator or callable
    slice : callable or str
        As for all remedies: a function of the features, or a column that the base model does not see.
    random_state : int, optional
    weight : float or "balanced"
        How often a row of the slice counts, above 0. ``"balanced"``: all groups count the same.
    by_class : bool
        Whether groups are slice and rest within each class, or slice and rest alone. Within classes the mean
        of predicted probabilities moves too: for losses of probabilities say False.
    way : {"auto", "weight", "resample"}
        Sample weights where the base model's fit takes them, else (or by name) rows drawn with replacement.

    Raises
    ------
    AppError
        If a setting is wrong, or (in fit) there is no slice.

    References
    ----------
    .. [1] Sagawa, S., Raghunathan, A., Koh, P. W., & Liang, P. (2020). An investigation of why
       overparameterization exacerbates spurious correlations. ICML.
    .. [2] Idrissi, B. Y., Arjovsky, M., Pezeshki, M., & Lopez-Paz, D. (2022). Simple data balancing achieves
       competitive worst-group-accuracy. CLeaR.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    >>> model = Reweighted(LinearRegression(), slice="x1").fit(X, np.array([0.0, 0.0, 0.0, 1.0]))
    >>> model.predict(X[:1]).round(3).tolist()  # a quarter without weights
    [0.5]
    """

    weight: float | str = BALANCED
    by_class: bool = True
    way: str = "auto"

    def __post_init__(self) -> None:
        """Check the settings."""
        good = self.weight == BALANCED if isinstance(self.weight, str) else 0 < self.weight < float("inf")
        need(good, "weight", f"{self.weight!r} is neither a number above 0 nor 'balanced'.")
        need(self.way in fits.WAYS, "way", f"{self.way!r} is not one of {', '.join(fits.WAYS)}.")

    @property
    def fits(self) -> int:
        """Fits of the base model that one fit takes."""
        return 1

    def fit(self, X: Any, y: Any) -> Reweighted:  # noqa: N803
        """Fit the base model to weighted rows."""
        need_slice(self)
        seen, labels, mask = self.opened(X, y)
        assert mask is not None
        weights = self._weights(labels, mask)
        self.model_ = fits.fit(self.base, seen, labels, seed=self.seed, weights=weights, way=self.way)
        return self

    def _weights(self, labels: NDArray[Any], mask: Bools) -> Floats:
        if isinstance(self.weight, str):
            return fits.balanced(*groups(labels, mask, classifies=self.by_class and self.classes is not None))
        return np.where(mask, float(self.weight), 1.0)
