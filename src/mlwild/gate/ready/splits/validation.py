"""How a model validates itself: folds in which later rows train what judges earlier ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mlwild.gate.ready.splits.offence import Offence
from mlwild.gate.ready.splits.reach import Reached

#: Rows that a splitter is tried on.
_TRIED = 60
#: A cross-fitted encoding estimates and chooses nothing; a chain without `cv` has no folds.
_NO_ESTIMATE, _NONE_IS_NONE = ("TargetEncoder",), ("ClassifierChain", "RegressorChain")


def folds_of(reached: Iterable[Reached]) -> Iterator[Offence]:
    """
    Yield parameters named ``cv`` that do not keep the order of time.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeCV
    >>> from sklearn.model_selection import TimeSeriesSplit
    >>> [one.name for one in folds_of([Reached("ridge", RidgeCV(cv=5), "models")])]
    ['cv']
    >>> list(folds_of([Reached("ridge", RidgeCV(cv=TimeSeriesSplit()), "models")]))
    []
    """
    for one in reached:
        parameters = _parameters(one.value)
        kind = type(one.value).__name__
        if "cv" not in parameters or kind in _NO_ESTIMATE:
            continue
        given = parameters["cv"]
        if isinstance(given, str) or (given is None and kind in _NONE_IS_NONE):
            continue
        why = disorder(given)
        if why:
            yield Offence(
                "cv",
                f"{kind}(cv={_shown(given)}) validates on {why}: what it chooses has seen the days after those that it "
                "is judged on. Give cv=TimeSeriesSplit(...)",
            )


def disorder(cv: Any) -> str:
    """
    Say what is wrong with folds of dated rows; nothing where each is trained on earlier rows only.

    Examples
    --------
    >>> disorder(5)
    'folds in which later rows train for earlier ones'
    """
    if cv is None or isinstance(cv, int | np.integer):
        return "folds in which later rows train for earlier ones"
    if getattr(cv, "shuffle", False) is True or "Shuffle" in type(cv).__name__ or "Repeated" in type(cv).__name__:
        return "folds drawn at random"
    folds = _folds(cv)
    late = any(len(train) and len(test) and np.max(train) >= np.min(test) for train, test in folds)
    return "folds in which later rows train for earlier ones" if late else ""


def _folds(cv: Any) -> list[Any]:
    """Return the folds of some rows; none where the splitter is for rows of its own."""
    if isinstance(cv, list | tuple):
        return list(cv)
    rows = (np.zeros((_TRIED, 1)), np.arange(_TRIED) % 2)
    for given in (rows, (*rows, np.arange(_TRIED) // 5)):
        with contextlib.suppress(ValueError, TypeError, IndexError, AttributeError):
            return list(cv.split(*given))
    return []


def held_out_at_random(reached: Iterable[Reached], rows: int) -> Iterator[str]:
    """Yield estimators that stop early by rows held out at random: no offence, and worth knowing."""
    for one in reached:
        parameters = _parameters(one.value)
        early = parameters.get("early_stopping", parameters.get("n_iter_no_change") is not None)
        # scikit-learn's "auto" is yes above ten thousand rows.
        if early is True or (early == "auto" and rows > 10_000):
            share = parameters.get("validation_fraction", 0.1)
            if share is not None:
                yield f"{type(one.value).__name__} stops by {share:g} of its rows, held out at random"


def _parameters(value: Any) -> dict[str, Any]:
    getter = getattr(value, "get_params", None)
    return dict(getter(deep=False)) if callable(getter) and not isinstance(value, type) else {}


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
