"""What a model must do: be fitted with a seed, predict, and be told from another."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError

Update = str | Callable[[Any, Any, Any], Any]


@dataclass(frozen=True)
class Forecast:
    """
    A published forecast: a column of the data that needs no fit.

    Parameters
    ----------
    column : str
        Column of the data with the prediction in the form that the loss asks for: a value, a class,
        or the probability of the greater of two classes. Every row needs one.

    Examples
    --------
    >>> Forecast("lear_ensemble")
    Forecast(column='lear_ensemble')
    """

    column: str


#: What rounding may put a probability outside [0, 1].
_DUST = 1e-6


class PredictionError(ValueError):
    """A model returned something that is not a prediction."""


def check(model: Any, field: str, ask: str, update: Update | None) -> None:
    """
    Check that an object can serve as a model.

    Raises
    ------
    AppError
        If it has neither fit and predict nor can be called, if it has no `predict_proba` and the
        loss asks for probabilities, or if it cannot be updated as the app says.
    """
    if isinstance(model, Forecast):
        return
    if isinstance(model, type):
        raise AppError(f"{field}: {model.__name__} is a class. Give an instance: {model.__name__}().")
    if not hasattr(model, "fit"):
        if not callable(model):
            raise AppError(
                f"{field}: {type(model).__name__} has no fit method and cannot be called. Give an "
                "estimator, a function train(X, y) that returns a function predict(X), or a Forecast."
            )
    elif ask.startswith("probab"):
        if not hasattr(model, "predict_proba"):
            raise AppError(f"{field}: {type(model).__name__} has no predict_proba, which the loss needs.")
    elif not hasattr(model, "predict"):
        raise AppError(f"{field}: {type(model).__name__} has no predict method.")
    if update == "partial_fit" and not hasattr(model, "partial_fit"):
        raise AppError(f"update: {field} ({type(model).__name__}) has no partial_fit.")
    if update == "warm_start" and "warm_start" not in _parameters(model):
        raise AppError(f"update: {field} ({type(model).__name__}) has no parameter warm_start.")


def _parameters(model: Any) -> dict[str, Any]:
    getter = getattr(model, "get_params", None)
    return dict(getter(deep=True)) if callable(getter) else {}


def _states(model: Any) -> list[str]:
    """Return the parameters that say which draws are drawn, of a model and of its parts."""
    named = _parameters(model)
    found = [name for name in named if name.split("__")[-1] in ("random_state", "random_seed")]
    for name, part in {"": model, **named}.items():
        if isinstance(part, type) or not callable(getattr(part, "get_params", None)):
            continue
        own = f"{name}__random_state".removeprefix("__")
        # CatBoost's parameters are those that were given: the others are to be read off its constructor.
        if own not in found and own.replace("state", "seed") not in found and _takes(part, "random_state"):
            found.append(own)
    return found


def _takes(model: Any, name: str) -> bool:
    try:
        return name in inspect.signature(type(model)).parameters
    except (TypeError, ValueError):  # a class of another language tells nothing
        return False


def fit(model: Any, X: Any, y: NDArray[Any], seed: int, given: Mapping[str, Any] | None = None) -> Any:  # noqa: N803
    """
    Return a fitted copy of a model; the model itself is left as it was.

    Parameters
    ----------
    model : estimator or callable
        ``fit(X, y)``, or ``train(X, y)`` which returns ``predict(X)``; a callable may also take
        a keyword `seed`.
    X : frame or ndarray of n_rows
    y : ndarray of shape (n_rows,)
    seed : int
        Put into every parameter named ``random_state`` or ``random_seed``, nested ones too.
    given : mapping of str, optional
        What an estimator's fit is given besides, such as ``sample_weight``.
    """
    if not hasattr(model, "fit"):
        takes_seed = "seed" in inspect.signature(model).parameters
        return model(X, y, seed=seed) if takes_seed else model(X, y)
    if hasattr(model, "get_params"):
        from sklearn.base import clone

        try:
            made = clone(model)
        except RuntimeError:  # its constructor copies a list that it is given, as CatBoost's does `cat_features`
            made = copy.deepcopy(model)
    else:
        made = copy.deepcopy(model)
    if states := _states(made):
        made.set_params(**dict.fromkeys(states, seed))
    fitted = made.fit(X, y, **(given or {}))
    return made if fitted is None else fitted


def update(model: Any, how: Update, X: Any, y: NDArray[Any]) -> Any:  # noqa: N803
    """
    Return an updated copy of a fitted model.

    Parameters
    ----------
    model : fitted model
    how : {"partial_fit", "warm_start"} or callable
        A callable is ``update(model, X, y)`` and returns the model; it receives a copy.
    X : frame or ndarray of n_rows
        The rows whose labels arrived since the model was made.
    y : ndarray of shape (n_rows,)
    """
    model = copy.deepcopy(model)
    if callable(how):
        return how(model, X, y)
    if how == "partial_fit":
        return model.partial_fit(X, y)
    return model.set_params(warm_start=True).fit(X, y)


def predict(model: Any, X: Any, ask: str, classes: NDArray[Any] | None) -> NDArray[np.float32]:  # noqa: N803
    """
    Return a model's predictions in the form that the loss asks for.

    Parameters
    ----------
    model : fitted model or callable
    X : frame or ndarray of n_rows
    ask : {"probability", "probabilities", "class", "value"}
    classes : ndarray of shape (n_classes,) or None
        Every class, in order; a class the model never saw has probability 0.

    Returns
    -------
    ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
        Probability of the last class, probabilities of all, class number, or value.

    Raises
    ------
    PredictionError
        If the shape is wrong or a prediction is not finite.
    """
    n_rows, X = X.shape[0] if hasattr(X, "shape") else len(X), own(X)  # noqa: N806
    if ask.startswith("probab") and hasattr(model, "predict_proba"):
        assert classes is not None
        raw = np.asarray(model.predict_proba(X), dtype=np.float64)
        seen = np.asarray(getattr(model, "classes_", classes))
        if n_rows == 1 and raw.ndim < 2:  # `squeeze` takes away rows too, where there is but one
            raw = raw.reshape(1, -1) if raw.size == len(seen) else raw.ravel()
        if raw.ndim == 1:
            raw = np.column_stack([1 - raw, raw])
        made = np.zeros((n_rows, len(classes)))
        if raw.shape != (n_rows, len(seen)):
            raise PredictionError(f"predict_proba gave shape {raw.shape} for {n_rows} rows")
        places = np.searchsorted(classes, seen).clip(0, len(classes) - 1)
        if (classes[places] != seen).any():
            strange = seen[classes[places] != seen][0]
            raise PredictionError(f"its classes_ hold {_plain(strange)!r}, which is not among the labels")
        made[:, places] = raw
        out = made[:, -1] if ask == "probability" else made
    else:
        raw = np.asarray(model.predict(X) if hasattr(model, "predict") else model(X))
        if ask == "class" and classes is not None:
            raw = raw.ravel()
            out = np.searchsorted(classes, raw).clip(0, len(classes) - 1).astype(np.float64)
            strange = classes[out.astype(np.int64)] != raw
            if strange.any():
                raise PredictionError(f"predicted class {_plain(raw[strange][0])!r} is not among the labels")
        else:
            out = np.asarray(raw, dtype=np.float64)
            if out.ndim == 2 and out.shape[1] == 1:
                out = out[:, 0]
    wanted = (n_rows, len(classes)) if ask == "probabilities" and classes is not None else (n_rows,)
    if n_rows == 1 and out.ndim < len(wanted) and out.size == wanted[-1]:
        out = out.reshape(wanted)
    if out.shape != wanted:
        raise PredictionError(f"predictions have shape {out.shape}, need {wanted}")
    refuse_unfinite(out)
    if ask.startswith("probab") and ((out < -_DUST) | (out > 1 + _DUST)).any():
        raise PredictionError(f"a probability is {out.min():.3g} or {out.max():.3g}, outside [0, 1]")
    return out.astype(np.float32)


def own(X: Any) -> Any:  # noqa: N803
    """
    Return features that a model may change as it likes: the caller goes by them too, and may ask another model of them.

    Examples
    --------
    >>> X = np.array([[1.0, 2.0]])
    >>> made = own(X)
    >>> made -= 1.0
    >>> X.tolist()
    [[1.0, 2.0]]
    """
    if isinstance(X, np.ndarray):
        return X.copy(order="K")
    package = type(X).__module__.partition(".")[0]
    if package == "pandas":
        return X.copy(deep=not _lazy_copies())
    return X.clone() if package == "polars" else X  # Arrow's cannot be changed


@cache
def _lazy_copies() -> bool:
    """Say whether pandas copies what is written to, once it is."""
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def refuse_unfinite(predictions: NDArray[Any]) -> None:
    """Raise where a prediction is NaN or infinite: NaN never passes for a prediction."""
    bad = ~np.isfinite(predictions)
    if bad.ndim == 2:
        bad = bad.any(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise PredictionError(f"{int(bad.sum())} of {len(bad)} predictions are NaN or infinite, first at row {first}")
