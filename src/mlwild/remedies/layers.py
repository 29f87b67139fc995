"""What a fitted model makes of a row before its last step: a hidden layer, leaves, or the score alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
}


def layered(base: Any) -> bool:
    """
    Say whether a model that is not fitted yet will have a last layer.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> layered(RandomForestClassifier()), layered(LogisticRegression())
    (True, False)
    """
    if getattr(base, "steps", None):
        return layered(base.steps[-1][1])
    network = hasattr(base, "hidden_layer_sizes") and hasattr(base, "activation")
    return network or (hasattr(base, "apply") and hasattr(base, "n_estimators"))


def layer_of(model: Any) -> Callable[[Any], Any] | None:
    """
    Return the function from rows to a fitted model's last layer; None where it has none.

    The last hidden layer of scikit-learn's networks, which leaf a row falls into of forests and boosted
    trees that say so (`apply`), and either behind the other steps of a pipeline.

    Parameters
    ----------
    model : fitted estimator

    Returns
    -------
    callable or None
        From rows to an ndarray or sparse matrix of shape (n_rows, n_units).

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> layer_of(LogisticRegression().fit([[0.0], [1.0]], [0, 1])) is None
    True
    """
    if hasattr(model, "steps"):
        inner = layer_of(model.steps[-1][1])
        return None if inner is None else Behind(model[:-1], inner)
    if hasattr(model, "coefs_") and hasattr(model, "activation"):
        return Hidden(model)
    if hasattr(model, "apply") and hasattr(model, "estimators_"):
        return Leaves(model)
    return None


@dataclass(frozen=True)
class Behind:
    """A layer behind the other steps of a fitted pipeline."""

    before: Any
    inner: Callable[[Any], Any]

    def __call__(self, X: Any) -> Any:  # noqa: N803
        """Return the layer, shape (n_rows, n_units)."""
        return self.inner(self.before.transform(X))


@dataclass(frozen=True)
class Hidden:
    """The last hidden layer of a fitted scikit-learn network."""

    network: Any

    def __call__(self, X: Any) -> Floats:  # noqa: N803
        """Return the layer, shape (n_rows, n_units)."""
        made = np.asarray(X, dtype=np.float64)
        squash = _ACTIVATIONS[self.network.activation]
        for weights, shift in zip(self.network.coefs_[:-1], self.network.intercepts_[:-1], strict=True):
            made = np.asarray(squash(made @ weights + shift), dtype=np.float64)
        return made


class Leaves:
    """Which leaf of each tree a row falls into, as zeros and ones; leaves count from the rows first asked."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.encoder: Any = None

    def __call__(self, X: Any) -> Any:  # noqa: N803
        """Return the leaves, a sparse matrix of shape (n_rows, n_leaves)."""
        from sklearn.preprocessing import OneHotEncoder

        leaves = np.asarray(self.model.apply(X))
        leaves = leaves.reshape(len(leaves), -1)
        if self.encoder is None:
            self.encoder = OneHotEncoder(handle_unknown="ignore").fit(leaves)
        return self.encoder.transform(leaves)


def logits(probabilities: Floats) -> Floats:
    """
    Return log odds by class, of the greater one alone where there are two.

    Examples
    --------
    >>> logits(np.array([[0.5, 0.5]])).tolist()
    [[0.0]]
    """
    held = np.clip(probabilities, 1e-6, 1 - 1e-6)
    made = np.log(held) - np.log1p(-held)
    return np.asarray(made[:, 1:] if made.shape[1] == 2 else made, dtype=np.float64)
