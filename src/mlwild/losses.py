"""Losses: lower is better, always; each with its unit, its range and what it is a loss of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, DataError

Floats = NDArray[np.float64]

#: Predictions are kept in float32: a probability is held away from 0 and 1 by what that resolves.
CLIP = 1e-7


@dataclass(frozen=True)
class Loss:
    """
    A loss.

    Parameters
    ----------
    function : callable
        ``function(label, prediction)``. Per row: arrays of shape (n_rows,) in, losses of shape
        (n_rows,) out. Per set: the same in, one number out.
    name : str
        What the card calls it.
    per : {"row", "set"}
        Whether it is defined for a row or only for a set of rows (AUC).
    predicts : {"probability", "probabilities", "class", "value"}
        What the model is asked for: the probability of the greater class, the probabilities of
        all classes (shape (n_rows, n_classes); labels come as class numbers), the most probable
        class, or a number.
    better : {"lower", "greater"}
        Direction of `function`. A metric that is better when greater is turned round: one minus
        it when `bounds` is (0, 1), else its negative.
    bounds : (float, float)
        Range of the loss.
    unit : str
        Unit of the loss.

    Examples
    --------
    >>> loss = Loss(lambda y, p: abs(y - p), name="absolute", predicts="value")
    >>> loss.rows(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    array([0.5, 0. ])
    """

    function: Callable[[Any, Any], Any]
    name: str
    per: str = "row"
    predicts: str = "value"
    better: str = "lower"
    bounds: tuple[float, float] = (0.0, float("inf"))
    unit: str = ""

    def __post_init__(self) -> None:
        """Check the words."""
        allowed = {
            "per": ("row", "set"),
            "predicts": ("probability", "probabilities", "class", "value"),
            "better": ("lower", "greater"),
        }
        for field, words in allowed.items():
            if getattr(self, field) not in words:
                raise AppError(f"loss.{field}: {getattr(self, field)!r} is not one of {', '.join(words)}.")

    @property
    def least(self) -> float:
        """Least value that the loss can take, after a metric was turned round."""
        low, high = self.bounds
        if self.better == "lower":
            return low
        return 0.0 if self.bounds == (0.0, 1.0) else -high

    @property
    def title(self) -> str:
        """
        What is minimised, for a reader: a metric that was turned round says how.

        Examples
        --------
        >>> named("brier").title, named("auc").title
        ('brier', '1 - auc')
        >>> Loss(lambda y, p: -abs(y - p), name="gain", better="greater").title
        'minus gain'
        """
        if self.better == "lower":
            return self.name
        return f"1 - {self.name}" if self.bounds == (0.0, 1.0) else f"minus {self.name}"

    @property
    def counted(self) -> str:
        """What a mean of it is taken over: a ``row``, or a ``period`` where it is one of a set."""
        return "row" if self.per == "row" else "period"

    @property
    def classifies(self) -> bool:
        """Whether labels are classes."""
        return self.predicts != "value"

    def _turned(self, value: Any) -> Any:
        if self.better == "lower":
            return value
        return 1.0 - value if self.bounds == (0.0, 1.0) else -value

    def rows(self, label: NDArray[Any], prediction: NDArray[Any]) -> Floats:
        """
        Return the loss of each row.

        Raises
        ------
        AppError
            If the user's function gave another shape.
        """
        losses = np.asarray(self.function(label, prediction), dtype=np.float64)
        if losses.shape != (len(label),):
            raise AppError(
                f"loss: {self.name!r} gave shape {losses.shape} for {len(label)} rows. Return one loss "
                "for each row, or say per='set'."
            )
        if not np.isfinite(losses).all():
            row = int(np.flatnonzero(~np.isfinite(losses))[0])
            raise DataError(
                f"loss: {self.name!r} is {losses[row]} for label {label[row]} and prediction {prediction[row]}. "
                "Give a loss that is finite for every row."
            )
        return np.asarray(self._turned(losses), dtype=np.float64)

    def of_set(self, label: NDArray[Any], prediction: NDArray[Any]) -> float:
        """Return the loss of a set of rows; NaN where it is not defined (one class, no row)."""
        if not len(label):
            return float("nan")
        return float(self._turned(float(self.function(label, prediction))))


def _clip(p: NDArray[Any]) -> Floats:
    return np.clip(np.asarray(p, dtype=np.float64), CLIP, 1.0 - CLIP)


def _log_loss(y: Floats, p: NDArray[Any]) -> Floats:
    if p.ndim == 2:
        return -np.log(_clip(p[np.arange(len(y)), y.astype(np.int64)]))
    p = _clip(p)
    return np.asarray(-np.log(np.where(y > 0.5, p, 1.0 - p)))


def _brier(y: Floats, p: NDArray[Any]) -> Floats:
    if p.ndim == 2:
        hit = np.arange(p.shape[1])[None, :] == y[:, None]
        # Half the sum over classes: for two classes the usual score, and in [0, 1] for any number.
        return np.asarray(((p.astype(np.float64) - hit) ** 2).sum(axis=1) / 2)
    return np.asarray((p.astype(np.float64) - y) ** 2)


def _zero_one(y: Floats, p: NDArray[Any]) -> Floats:
    return np.asarray(y != p, dtype=np.float64)


def auc(y: Floats, p: NDArray[Any]) -> float:
    """
    Return the area under the ROC curve, ties counted half; NaN for one class.

    References
    ----------
    .. [1] Hanley, J. A., & McNeil, B. J. (1982). Radiology, 143(1), 29-36.

    Examples
    --------
    >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    1.0
    """
    positives = float((y > 0.5).sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return float("nan")
    _, codes, counts = np.unique(p, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    total = ranks[codes][y > 0.5].sum()
    return float((total - positives * (positives + 1) / 2) / (positives * negatives))


def _average_precision(y: Floats, p: NDArray[Any]) -> float:
    hits = (y > 0.5)[np.argsort(-p, kind="stable")]
    scores = np.sort(-p, kind="stable")
    if not hits.any():
        return float("nan")
    last = np.append(scores[1:] != scores[:-1], True)  # ties share one threshold
    found = np.cumsum(hits)[last].astype(float)
    precision = found / (np.flatnonzero(last) + 1)
    return float((np.diff(found, prepend=0.0) * precision).sum() / hits.sum())


def _rmse(y: Floats, p: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean((y - p.astype(np.float64)) ** 2)))


def _f1(y: Floats, p: NDArray[Any]) -> float:
    hit = float(((y > 0.5) & (p > 0.5)).sum())
    asked = float((y > 0.5).sum() + (p > 0.5).sum())
    return 2 * hit / asked if asked else float("nan")


def pinball(quantile: float) -> Loss:
    """
    Return the pinball loss of a quantile in (0, 1).

    References
    ----------
    .. [1] Koenker, R., & Bassett, G. (1978). Regression quantiles. Econometrica, 46, 33-50.

    Examples
    --------
    >>> pinball(0.9).rows(np.array([1.0, 1.0]), np.array([0.0, 2.0]))
    array([0.9, 0.1])
    """
    if not 0 < quantile < 1:
        raise AppError(f"loss: the quantile {quantile} of the pinball loss must lie in (0, 1).")

    def function(y: Floats, p: Floats) -> Floats:
        gap = y - p
        return np.asarray(np.maximum(quantile * gap, (quantile - 1) * gap))

    return Loss(function, f"pinball_{quantile:g}")


def _poisson(y: Floats, p: NDArray[Any]) -> Floats:
    mean = np.maximum(p.astype(np.float64), 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(y > 0, y * np.log(y / mean), 0.0)
    return np.asarray(2 * (ratio - y + mean))


_INFINITE = (0.0, float("inf"))
_UNIT = (0.0, 1.0)

#: The losses that can be named in an app.
NAMED: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(_log_loss, "log_loss", predicts="probability", bounds=_INFINITE, unit="nats"),
        Loss(_brier, "brier", predicts="probability", bounds=_UNIT),
        Loss(_zero_one, "zero_one", predicts="class", bounds=_UNIT, unit="errors"),
        Loss(lambda y, p: (y - p) ** 2, "squared"),
        Loss(lambda y, p: np.abs(y - p), "absolute"),
        Loss(_poisson, "poisson"),
        pinball(0.5),
        pinball(0.9),
        Loss(_rmse, "rmse", per="set"),
        Loss(auc, "auc", per="set", predicts="probability", better="greater", bounds=_UNIT),
        Loss(
            _average_precision,
            "average_precision",
            per="set",
            predicts="probability",
            better="greater",
            bounds=_UNIT,
        ),
        Loss(_f1, "f1", per="set", predicts="class", better="greater", bounds=_UNIT),
    )
}


def named(loss: str | Loss | Callable[[Any, Any], Any]) -> Loss:
    """
    Return a loss by name; a Loss passes through, a bare function is a loss per row of a value.

    Raises
    ------
    AppError
        If the name is not known.

    Examples
    --------
    >>> named("brier").bounds
    (0.0, 1.0)
    """
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return Loss(loss, getattr(loss, "__name__", "loss"), bounds=(float("-inf"), float("inf")))
    quantile = str(loss).removeprefix("pinball_")
    if quantile != loss and quantile.replace(".", "", 1).isdigit():
        return pinball(float(quantile))
    loss = {"mae": "absolute", "mse": "squared", "logloss": "log_loss"}.get(loss, loss)
    if loss not in NAMED:
        raise AppError(f"loss: {loss!r} is not known. Name one of {', '.join(NAMED)}, or give a Loss.")
    return NAMED[loss]
