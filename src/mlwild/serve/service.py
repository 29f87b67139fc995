"""What lives in a worker process: it holds the model and answers rows, each with a status."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlwild import models
from mlwild.app import App
from mlwild.clock import now_seconds
from mlwild.models import Forecast, PredictionError
from mlwild.serve.features import Maker
from mlwild.serve.telling import tell

#: Calls that finding the rows which a model cannot answer may take.
TRIES = 64
#: Seconds before the same trouble is told again.
AGAIN = 60.0


@dataclass(frozen=True, eq=False)
class Answered:
    """
    The answers to n rows.

    Parameters
    ----------
    value : ndarray of float64, shape (n,) or (n, n_classes)
        In the form that the loss asks for; NaN only where refused.
    low, high : ndarray of float64, shape (n,)
        Interval of the value; NaN where there is none.
    status : list of {"normal", "degraded", "fallback", "refused"}
    cause : list of str
        Why not normal; empty where it is.
    stage : list of str
        Stage of the fallback chain that answered.
    vintage : list of str
    age : float
        Seconds since the newest label that is known; NaN where times are integers.
    features : mapping of str to list
        As they were computed, for the log.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    status: list[str]
    cause: list[str]
    stage: list[str]
    vintage: list[str]
    age: float
    features: Mapping[str, list[Any]]


class Service(Protocol):
    """
    What answers rows in a worker process.

    `answer` never raises and never leaves a row out; it may hang or die, which the front process survives.
    """

    vintage: str

    def answer(self, rows: Mapping[str, list[Any]], stage: int = 0) -> Answered:
        """
        Answer n rows.

        Parameters
        ----------
        rows : mapping of str to list
            Columns of the app's data, times as microseconds since 1970 and dates as days.
        stage : int
            First stage of the fallback chain to try.
        """
        ...  # pragma: no cover


@dataclass
class AppService:
    """
    The app's model behind its features, with the mean label as the last resort.

    Parameters
    ----------
    app : App
    model : object
        What was fitted, or the `Forecast` that is live.
    vintage : str
    maker : Maker
    ask : str
    classes : ndarray or None
    constant : ndarray of float64, shape () or (n_classes,)
    newest : float
        When the newest label became known, in seconds since 1970; NaN where times are integers.
    """

    app: App
    model: Any
    vintage: str
    maker: Maker
    ask: str
    classes: NDArray[Any] | None
    constant: NDArray[np.float64]
    newest: float
    _told: dict[str, float] = field(default_factory=dict, repr=False)

    def answer(self, rows: Mapping[str, list[Any]], stage: int = 0) -> Answered:
        """Answer some rows; by the model, or by the constant where that fails or where `stage` is past it."""
        n = len(next(iter(rows.values())))
        if stage:
            return self._constants(n, "")
        return self._tried(rows, n, [TRIES])

    def _tried(self, rows: Mapping[str, list[Any]], n: int, left: list[int]) -> Answered:
        """Answer some rows; where that fails, their halves, until those that cannot be answered are alone."""
        left[0] -= 1
        try:
            values, features = self._scored(rows, n)
        except MemoryError:
            raise  # the process is of no use any more: another takes over
        except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's functions may raise anything
            if n > 1 and left[0] > 0:
                half = n // 2
                first = {name: column[:half] for name, column in rows.items()}
                second = {name: column[half:] for name, column in rows.items()}
                return _joined(self._tried(first, half, left), self._tried(second, n - half, left))
            self._tell(problem)
            return self._constants(n, _why(problem))
        none = np.full(n, np.nan)
        return Answered(
            values,
            none,
            none,
            ["normal"] * n,
            [""] * n,
            ["champion"] * n,
            [self.vintage] * n,
            self.age,
            features,
        )

    @property
    def age(self) -> float:
        """Seconds since the newest label became known."""
        return max(now_seconds() - self.newest, 0.0) if self.newest == self.newest else self.newest

    def _constants(self, n: int, cause: str) -> Answered:
        value = np.repeat(self.constant[None], n, axis=0)
        none = np.full(n, np.nan)
        said = ["fallback"] * n, [cause] * n, ["constant"] * n, [self.vintage] * n
        return Answered(value, none, none, *said, self.age, {})

    def _scored(self, rows: Mapping[str, list[Any]], n: int) -> tuple[NDArray[np.float64], dict[str, list[Any]]]:
        """Return predictions and features of some events."""
        if isinstance(self.model, Forecast):
            return self._forecast(rows[self.model.column]), {}
        native, logged = self.maker.make(rows, n)
        serving = self.app.serving
        if serving is not None and serving.predict is not None:
            return self._by_the_service(native, n), logged
        return models.predict(self.model, native, self.ask, self.classes).astype(np.float64), logged

    def _by_the_service(self, native: Any, n: int) -> NDArray[np.float64]:
        assert self.app.serving is not None
        predict = self.app.serving.predict
        assert predict is not None
        parts = []
        for row in range(n):
            one = native if n == 1 else self.maker.one(native, row)
            said = np.asarray(predict(self.model, one), dtype=np.float64)
            parts.append(said.reshape(1, -1) if self.ask == "probabilities" else said.reshape(-1)[:1])
        values = np.concatenate(parts)
        models.refuse_unfinite(values)
        return values

    def _forecast(self, given: list[Any]) -> NDArray[np.float64]:
        if any(one is None for one in given):
            raise PredictionError("a forecast is missing")
        if self.ask == "class" and self.classes is not None:
            raw = np.array(given, dtype=object).astype(self.classes.dtype)
            places = np.searchsorted(self.classes, raw).clip(0, len(self.classes) - 1)
            if (self.classes[places] != raw).any():
                raise PredictionError("a forecast is not among the labels")
            return places.astype(np.float64)
        return np.array(given, dtype=np.float64)

    def _tell(self, problem: BaseException) -> None:
        """Tell the operator, not the client; the same trouble once a minute."""
        said = f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
        if time.monotonic() - self._told.get(said, -AGAIN) >= AGAIN:
            self._told[said] = time.monotonic()
            if len(self._told) > 1000:
                self._told.clear()
            tell(f"vintage {self.vintage} could not answer: {said}")


def _why(problem: BaseException) -> str:
    """Say why, without a word of the data."""
    if isinstance(problem, PredictionError):
        return "the model gave no valid prediction"
    return f"features or model raised {type(problem).__name__}"


def _joined(a: Answered, b: Answered) -> Answered:
    names = a.features or b.features
    halves = [(one.features, len(one.status)) for one in (a, b)]
    features = {name: [cell for made, n in halves for cell in made.get(name, [None] * n)] for name in names}
    return Answered(
        np.concatenate([a.value, b.value]),
        np.concatenate([a.low, b.low]),
        np.concatenate([a.high, b.high]),
        a.status + b.status,
        a.cause + b.cause,
        a.stage + b.stage,
        a.vintage + b.vintage,
        a.age,
        features,
    )
