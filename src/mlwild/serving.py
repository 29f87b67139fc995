"""How an app's answers are computed where it is served, if not by the functions that trained it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlwild.errors import AppError


@dataclass(frozen=True)
class Serving:
    """
    The path that a request takes, where that is other code than the app's own.

    The gate replays rows of the history through it, request by request, and compares.

    Parameters
    ----------
    features : callable, optional
        ``features(request)`` or ``features(request, tables)``: what the service computes of one request, a frame
        of one row with the columns of the app's data less those that come with the label. Default the app's
        own `features`.
    predict : callable, optional
        ``predict(model, features)``: how the service calls the model. Default as a rehearsal does.
    tolerance : float
        Greatest difference of two predictions that is no difference; 0 asks for the same bits.

    Raises
    ------
    AppError
        If neither function is one, or the tolerance is no number of at least 0.

    Examples
    --------
    >>> Serving(predict=lambda model, features: model.predict(features), tolerance=1e-6).tolerance
    1e-06
    """

    features: Callable[..., Any] | None = None
    predict: Callable[[Any, Any], Any] | None = None
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("features", "predict"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise AppError(f"serving.{name}: {value!r} is not a function.")
        good = isinstance(self.tolerance, int | float) and 0 <= self.tolerance < float("inf")
        if not good:
            raise AppError(f"serving.tolerance: {self.tolerance!r} is not a finite number of at least 0.")
