"""What answers rows, each with a status: the app's functions, the guard, and the models behind it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild import frames, models
from mlwild.answering.apps import app_that_made
from mlwild.answering.bundle import Bundle, load_model
from mlwild.answering.features import Maker
from mlwild.answering.plain_frames import PlainFrames
from mlwild.answering.telling import tell
from mlwild.answering.tries import Tries
from mlwild.app import App
from mlwild.clock import now_seconds
from mlwild.guards import Answers
from mlwild.guards.answers import DRAWN, FALLBACK, no_answers
from mlwild.guards.asking import LATE
from mlwild.guards.exploring import AT_RANDOM
from mlwild.guards.stages import Predict
from mlwild.guards.watch import Watch
from mlwild.models import Forecast, PredictionError
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Tables

#: Seconds before the same trouble is told again.
AGAIN = 60.0
#: Names of the lists of an answer, in order.
FIELDS = (
    "value",
    "low",
    "high",
    "likely",
    "status",
    "cause",
    "stage",
    "vintage",
    "expected",
    "chance",
    "age",
    "features",
)


@dataclass(frozen=True, eq=False)
class Answered:
    """
    The answers to n rows.

    Parameters
    ----------
    value : ndarray of float64, shape (n,) or (n, n_classes)
        In the form that the loss asks for; NaN only where refused.
    low, high : ndarray of float64, shape (n,)
        Interval of a number; NaN where there is none.
    likely : ndarray of bool, shape (n, n_classes)
        Classes that the outcome is among; none of a row, or shape (n, 0), where nothing is known of that.
    status : list of {"normal", "degraded", "fallback", "refused"}
    cause : list of str
        Why not normal; empty where it is.
    stage, vintage : list of str
        Who answered: the stage of the chain, and its vintage.
    expected : ndarray of float64, shape (n,)
        Mean loss of the stage on such rows, as measured beforehand; NaN where it was not.
    chance : ndarray of float64, shape (n,)
        Probability with which such a row is given just this answer; 1 where nothing is drawn at random.
    age : float
        Seconds since the newest label that is known; NaN where times are integers.
    features : mapping of str to list
        As they were computed, for the log; empty where they could not be.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    likely: NDArray[np.bool_]
    status: list[str]
    cause: list[str]
    stage: list[str]
    vintage: list[str]
    expected: NDArray[np.float64]
    chance: NDArray[np.float64]
    age: float
    features: Mapping[str, list[Any]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.status)

    @property
    def sets(self) -> list[list[int] | None]:
        """Numbers of the classes that each outcome is among; None where nothing is known of that, as where refused."""
        return [[place for place, one in enumerate(row) if one] or None for row in self.likely.tolist()]


@dataclass
class AppService:
    """
    The app's functions, the guard and the models behind it; it remembers what requests showed.

    Parameters
    ----------
    app : App
    bundle : Bundle
    maker : Maker
    fitted : sequence of object
        The models of the chain, in order; the `Forecast` that is live, alone.
    clock : callable
        Seconds that only rise: a stage that failed too often is asked again after some of them.
    haste : float
        Of `Tries`.
    """

    app: App
    bundle: Bundle
    maker: Maker
    fitted: Sequence[Any]
    clock: Callable[[], float] = time.monotonic
    haste: float = math.inf
    _told: dict[str, float] = field(default_factory=dict, repr=False)
    _watch: Watch | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Begin as new."""
        if self.bundle.guard is not None:
            self._watch = self.bundle.guard.watch()

    @property
    def watch(self) -> Watch | None:
        """What the guard remembers of the rows so far; None where there is no guard."""
        return self._watch

    @watch.setter
    def watch(self, watch: Watch | None) -> None:
        self._watch = watch

    def answer(self, rows: Mapping[str, list[Any]], stage: int = 0, made: Callable[[], None] | None = None) -> Answered:
        """
        Answer n rows, in the order in which they came; whatever the app's functions raise is told there.

        Parameters
        ----------
        rows : mapping of str to list
            Columns of the app's data, times as microseconds since 1970 and dates as days.
        stage : int
            First stage of the chain to ask: those before it did not answer in time.
        made : callable, optional
            Called once the features of all rows are there, before a model is asked.
        """
        n = len(next(iter(rows.values())))
        if isinstance(self.fitted[0], Forecast):
            return self._forecast(rows[self.fitted[0].column], n)
        return _joined(list(self._tried(rows, n, stage, Tries(n, self.haste), made)))

    def use(self, tables: Tables) -> None:
        """Make features of other side tables from now on."""
        self.maker = replace(self.maker, tables=tables)

    def warm(self) -> None:
        """Ask every stage once, of a row that is known: the first request would wait for what is made on first use."""
        guard = self.bundle.guard
        if guard is None:
            return
        row = frames.from_arrow(guard.sample.table.slice(0, 1), guard.sample.kind, "features")
        for stage in range(len(self.fitted)):
            guard.answer(row, self._asked(stage), guard.watch())

    def _tried(
        self, rows: Mapping[str, list[Any]], n: int, stage: int, tries: Tries, made: Callable[[], None] | None = None
    ) -> list[Answered]:
        """Answer some rows; where features cannot be made, their halves, until those to blame are alone."""
        tries.spend()
        try:
            native, logged = self.maker.make(rows, n)
            stale, times = self.maker.overdue(rows, n), self.maker.times(rows)
        except MemoryError:
            raise  # the process is of no use any more: another takes over
        except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's function may raise anything
            if n > 1 and tries.any:
                places = slice(0, n // 2), slice(n // 2, n)
                halves = [({name: cells[at] for name, cells in rows.items()}, at.stop - at.start) for at in places]
                return [one for half, size in halves for one in self._tried(half, size, stage, tries)]
            self._tell(problem)
            return [self._drawn(self._constants(n, f"features raised {type(problem).__name__}"))]
        tries.earn()
        if made is not None:  # of halves it is not called: the other may not have its features
            made()
        guard = self.bundle.guard
        if guard is None or self._watch is None:
            return [self._unguarded(native, n, logged, stage)]
        asked = self._asked(stage)
        return [self._named(guard.answer(native, asked, self._watch, self.clock(), stale, times), logged)]

    def _stage(self, place: int) -> Predict:
        def predict(native: Any) -> NDArray[Any]:
            try:
                return self._predicted(place, native)
            except Exception as problem:
                self._tell(problem)
                raise

        return predict

    def _asked(self, stage: int) -> list[Predict | None]:
        """Return who is asked from a stage on; those before it were asked elsewhere."""
        return [None if place < stage else self._stage(place) for place in range(len(self.fitted))]

    def _predicted(self, place: int, native: Any) -> NDArray[np.float64]:
        """Return what a model of the chain says; the champion by the declared service, if there is one."""
        bundle, serving = self.bundle, self.app.serving
        if place or serving is None or serving.predict is None:
            return models.predict(self.fitted[place], native, bundle.ask, bundle.classes).astype(np.float64)
        parts = []
        for row in range(len(native)):
            one = native if len(native) == 1 else self.maker.one(native, row)
            said = np.asarray(serving.predict(self.fitted[0], models.own(one)), dtype=np.float64)
            parts.append(said.reshape(1, -1) if bundle.ask == "probabilities" else said.reshape(-1)[:1])
        values = np.concatenate(parts)
        models.refuse_unfinite(values)
        return values

    def _named(self, made: Answers, logged: Mapping[str, list[Any]]) -> Answered:
        """Return what the guard gave, with names in place of numbers."""
        assert self.bundle.guard is not None
        stages = self.bundle.guard.stages
        who = made.stage.tolist()
        parts = self.bundle.parts
        vintages = [parts[place].vintage if 0 <= place < len(parts) else self.bundle.vintage for place in who]
        names = [stages[place].name if place >= 0 else AT_RANDOM if place == DRAWN else "" for place in who]
        cause = made.cause.tolist()
        # A class alone comes without a set.
        likely = made.likely[:, :0] if self.bundle.ask == "class" else made.likely
        return Answered(
            made.value,
            made.low,
            made.high,
            likely,
            made.words,
            cause,
            names,
            vintages,
            made.expected,
            made.chance,
            age_of(self.bundle),
            logged,
        )

    def _unguarded(self, native: Any, n: int, logged: Mapping[str, list[Any]], stage: int) -> Answered:
        """Return what the model says by itself, where nothing is known that a guard could go by."""
        if stage:
            return self._constants(n, f"the champion {LATE}", logged)
        try:
            values = self._predicted(0, native)
            models.refuse_unfinite(values)
        except MemoryError:
            raise
        except (Exception, SystemExit) as problem:  # noqa: BLE001  a model may raise anything
            self._tell(problem)
            return self._constants(n, _why(problem), logged)
        made = self._constants(n, "no guard yet: too few labels have come", logged)
        return replace(made, value=values, status=["degraded"] * n, stage=["champion"] * n, expected=made.low)

    def _constants(self, n: int, cause: str, features: Mapping[str, list[Any]] | None = None) -> Answered:
        return constants(self.bundle, n, cause, features)

    def _drawn(self, made: Answered) -> Answered:
        """Return fallbacks that the guard has not seen, of which a share is drawn if the app explores."""
        guard = self.bundle.guard
        if guard is None or guard.draws is None or self._watch is None:
            return made
        said = no_answers(len(made), guard.classes, matrix=made.value.ndim == 2)
        said.value[:], said.status[:], said.expected[:], said.cause[:] = made.value, FALLBACK, made.expected, made.cause
        said.stage[:] = len(guard.stages) - 1
        drawn = self._named(guard.draws.among(said, None, self._watch), {})
        return replace(drawn, likely=made.likely)

    def _forecast(self, given: list[Any], n: int) -> Answered:
        """Return what a published forecast says; the constant where it is missing."""
        made, good = self._constants(n, "the forecast is missing or no label"), np.zeros(n, dtype=bool)
        for row, one in enumerate(given):
            try:
                made.value[row] = self._read(one)
                good[row] = True
            except (PredictionError, TypeError, ValueError):
                continue
        for row in np.flatnonzero(good).tolist():
            made.status[row], made.cause[row], made.stage[row] = "normal", "", "champion"
        made.expected[good] = np.nan
        return made

    def _read(self, given: Any) -> float:
        classes = self.bundle.classes
        if given is None:
            raise PredictionError("a forecast is missing")
        if self.bundle.ask != "class" or classes is None:
            value = float(given)
            models.refuse_unfinite(np.asarray([value]))
            return value
        found = np.flatnonzero(classes == np.array([given], dtype=object).astype(classes.dtype)[0])
        if not len(found):
            raise PredictionError("a forecast is not among the labels")
        return float(found[0])

    def _tell(self, problem: BaseException) -> None:
        """Tell the operator, not the client; the same trouble once a minute."""
        said = f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
        if time.monotonic() - self._told.get(said, -AGAIN) >= AGAIN:
            if len(self._told) > 1000:
                self._told.clear()
            self._told[said] = time.monotonic()
            tell(f"vintage {self.bundle.vintage} could not answer: {said}")


def age_of(bundle: Bundle) -> float:
    """Return the seconds since the newest label became known."""
    newest = bundle.newest
    return max(now_seconds() - newest, 0.0) if newest == newest else newest  # noqa: PLR0124  NaN


def constants(bundle: Bundle, n: int, cause: str, features: Mapping[str, list[Any]] | None = None) -> Answered:
    """Return the constant for some rows: what is said where nobody else answers."""
    value = np.repeat(bundle.constant[None], n, axis=0)
    none, likely = np.full(n, np.nan), np.zeros((n, 0), dtype=bool)
    said = ["fallback"] * n, [cause] * n, ["constant"] * n, [bundle.vintage] * n
    return Answered(
        value, none, none, likely, *said, np.full(n, bundle.loss), np.ones(n), age_of(bundle), features or {}
    )


def service_of(store: Store, bundle: Bundle, tables: Tables | None = None) -> AppService:
    """
    Return what answers by a bundle: the app's functions from its file, the models by their digests.

    Parameters
    ----------
    store : Store
    bundle : Bundle
    tables : Tables, optional
        Side tables that were read since; default those of the bundle.

    Raises
    ------
    AppError
        If the app is not what it was when it was bundled.
    StoreError
        If a model is gone or was changed.
    """
    app = app_that_made(bundle)
    return assembled(store, bundle if tables is None else replace(bundle, tables=tables), app)


def assembled(store: Store, bundle: Bundle, app: App) -> AppService:
    """Return what answers by a bundle with an app whose code was checked; the models by their digests."""
    maker = Maker(
        app=app,
        data=bundle.data,
        learned=bundle.learned,
        data_kind=bundle.data_kind,
        kind=bundle.kind,
        tables=bundle.tables,
        limits=bundle.limits,
        plain=PlainFrames.of(bundle.data) if bundle.data_kind == "pandas" else None,
    )
    fitted = [load_model(store, part) for part in bundle.parts] or [app.models[app.live]]
    return AppService(app, bundle, maker, fitted)


def _why(problem: BaseException) -> str:
    """Say why, without a word of the data."""
    if isinstance(problem, PredictionError):
        return "the model gave no valid prediction"
    return f"the model raised {type(problem).__name__}"


def _joined(parts: Sequence[Answered]) -> Answered:
    """Return answers one after the other."""
    if len(parts) == 1:
        return parts[0]
    wide = max(one.likely.shape[1] for one in parts)
    likely = [one.likely if one.likely.shape[1] == wide else np.zeros((len(one), wide), dtype=bool) for one in parts]
    names = list(dict.fromkeys(name for one in parts for name in one.features))
    features = {name: [cell for one in parts for cell in one.features.get(name, [None] * len(one))] for name in names}
    value, low, high, expected, chance = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("value", "low", "high", "expected", "chance")
    )
    status, cause, stage, vintage = (
        [cell for one in parts for cell in getattr(one, name)] for name in ("status", "cause", "stage", "vintage")
    )
    said = status, cause, stage, vintage
    return Answered(value, low, high, np.concatenate(likely), *said, expected, chance, parts[0].age, features)
