"""Bias and variance of predictions over refits, and what an ensemble gains over its members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BiasVariance:
    """
    Mean loss over refits and rows, and its parts.

    Parameters
    ----------
    loss : float
        Equal to bias + harm - help.
    bias : float
        Loss of the main prediction: the mean over refits, or the most frequent class. Noise in the
        labels counts as bias.
    variance : float
        Mean loss of the refits against the main prediction: harm + help, and with over two classes
        also straying from one wrong class to another.
    harm : float
        What straying from the main prediction adds to the loss.
    help : float
        What straying takes off it: rows where the main class is wrong and a refit is right. 0 for
        squared loss.
    refits, n : int
        Number of refits and of rows.
    """

    loss: float
    bias: float
    variance: float
    harm: float
    help: float
    refits: int
    n: int


@dataclass(frozen=True)
class Ambiguity:
    """
    Squared loss of an ensemble against that of its members.

    Parameters
    ----------
    ensemble : float
        Loss of the weighted mean of the members: members - ambiguity.
    members : float
        Weighted mean of the members' losses.
    ambiguity : float
        How far the members stray from the ensemble, at least 0: what averaging gains, whatever the
        labels.
    best : float
        Loss of the best single member, chosen with these labels.
    n : int
        Number of rows.
    """

    ensemble: float
    members: float
    ambiguity: float
    best: float
    n: int


def squared_bias_variance(predictions: Floats, labels: Floats) -> BiasVariance:
    """
    Split the mean squared error over refits into squared bias and variance, exactly.

    Parameters
    ----------
    predictions : ndarray of shape (n_refits, n_rows)
        Of models fitted on resampled or fresh training rows, for the same rows.
    labels : ndarray of shape (n_rows,)
        In the unit of the predictions; the parts are in its square.

    Returns
    -------
    BiasVariance

    Raises
    ------
    DataError
        If there are under 2 refits, shapes differ, or a value is not finite.

    References
    ----------
    .. [1] Geman, S., Bienenstock, E., & Doursat, R. (1992). Neural networks and the bias/variance
       dilemma. Neural Computation, 4(1), 1-58.

    Examples
    --------
    >>> found = squared_bias_variance(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([0.0, 2.0]))
    >>> found.loss, found.bias, found.variance
    (2.5, 2.0, 0.5)
    """
    predictions, labels = _finite(predictions, labels)
    main = predictions.mean(axis=0)
    bias, variance = float(((main - labels) ** 2).mean()), float(((predictions - main) ** 2).mean())
    loss = float(((predictions - labels) ** 2).mean())
    return BiasVariance(loss, bias, variance, variance, 0.0, *predictions.shape)


def zero_one_bias_variance(predictions: NDArray[Any], labels: NDArray[Any]) -> BiasVariance:
    """
    Split the error rate over refits into bias and variance by Domingos' definitions.

    Variance harms where the main class is right; where it is wrong, straying from it helps as often as
    it hits the label.

    Parameters
    ----------
    predictions : ndarray of shape (n_refits, n_rows)
        Classes, of models fitted on resampled or fresh training rows, for the same rows. Of equally
        frequent classes the first in order is the main one.
    labels : ndarray of shape (n_rows,)
        Classes of the same kind.

    Returns
    -------
    BiasVariance

    Raises
    ------
    DataError
        If there are under 2 refits, shapes differ, or a class is missing (NaN or None).

    References
    ----------
    .. [1] Domingos, P. (2000). A unified bias-variance decomposition for zero-one and squared loss.
       AAAI, 564-569.

    Examples
    --------
    >>> predictions = np.array([["a", "a"], ["a", "b"], ["b", "b"]])  # main classes: a, b
    >>> found = zero_one_bias_variance(predictions, np.array(["a", "a"]))
    >>> [round(part, 3) for part in (found.loss, found.bias, found.harm, found.help)]
    [0.5, 0.5, 0.167, 0.167]
    """
    predictions, labels = _shaped(predictions, labels)
    for values in (predictions, labels):
        missing = np.argwhere((values != values) | (values == None))  # noqa: E711, PLR0124 - elementwise, any dtype
        if len(missing):
            raise DataError(f"no class at {missing[0].tolist()}. Hint: leave out rows that lack one.")
    classes, codes = np.unique(np.concatenate([predictions.ravel(), labels]), return_inverse=True)
    shape = predictions.shape
    said, true = codes[: predictions.size].reshape(shape), codes[predictions.size :]
    counts = np.stack([(said == code).sum(axis=0) for code in range(len(classes))])
    main = counts.argmax(axis=0)
    strayed, right = said != main, said == true
    harm, helped = float((strayed & (main == true)).mean()), float((strayed & right).mean())
    return BiasVariance(
        float((~right).mean()), float((main != true).mean()), float(strayed.mean()), harm, helped, *shape
    )


def ambiguity(predictions: Floats, labels: Floats, *, weights: Floats | None = None) -> Ambiguity:
    """
    Split the squared loss of an ensemble into its members' loss and their disagreement, exactly.

    Parameters
    ----------
    predictions : ndarray of shape (n_members, n_rows)
        One row a member; the ensemble is their weighted mean.
    labels : ndarray of shape (n_rows,)
        In the unit of the predictions; the parts are in its square.
    weights : ndarray of shape (n_members,), optional
        Not negative, of any sum; default equal.

    Returns
    -------
    Ambiguity

    Raises
    ------
    DataError
        If there are under 2 members, shapes differ, a value is not finite, or a weight is negative.

    References
    ----------
    .. [1] Krogh, A., & Vedelsby, J. (1995). Neural network ensembles, cross validation, and active
       learning. NeurIPS 7, 231-238, equation (6).

    Examples
    --------
    >>> found = ambiguity(np.array([[1.0, 3.0], [3.0, 3.0]]), np.array([2.0, 2.0]))
    >>> found.ensemble, found.members, found.ambiguity
    (0.5, 1.0, 0.5)
    """
    predictions, labels = _finite(predictions, labels)
    weights = np.ones(len(predictions)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != predictions.shape[:1] or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise DataError(
            f"weights are {weights.tolist()}, need one of 0 or more for each of {len(predictions)} members."
        )
    share = weights / weights.sum()
    whole = share @ predictions
    losses = ((predictions - labels) ** 2).mean(axis=1)
    spread = float(share @ ((predictions - whole) ** 2).mean(axis=1))
    ensemble = float(((whole - labels) ** 2).mean())
    return Ambiguity(ensemble, float(share @ losses), spread, float(losses.min()), len(labels))


def _finite(predictions: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Return predictions and labels as finite floats."""
    predictions, labels = _shaped(np.asarray(predictions, np.float64), np.asarray(labels, np.float64))
    for name, values in (("prediction", predictions), ("label", labels)):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise DataError(f"{name} {bad[0].tolist()} is {values[tuple(bad[0])]}; leave out rows that lack one.")
    return predictions, labels


def _shaped(predictions: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return arrays of which every refit has one prediction for each label."""
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.ndim != 2 or len(predictions) < 2 or labels.shape != predictions.shape[1:] or not len(labels):
        raise DataError(
            f"predictions have shape {predictions.shape} and labels {labels.shape}, need (n_refits, n_rows) with "
            "at least 2 refits, and (n_rows,)."
        )
    return predictions, labels
