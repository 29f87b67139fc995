"""The app: one frozen declaration of data, time, label, models, loss, cadence and prices."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mlwild import losses, models
from mlwild.clock import Duration, delay_of
from mlwild.errors import AppError
from mlwild.events import Table
from mlwild.frames import KINDS, Source
from mlwild.gate.cases import as_tests
from mlwild.losses import Loss
from mlwild.models import Forecast, Update
from mlwild.monitors import Monitor
from mlwild.records import ALL, Prices
from mlwild.rules import Rule
from mlwild.serving import Serving
from mlwild.stressors import Stressor
from mlwild.trading import Trading
from mlwild.warehouse import Stored

FEEDBACK = ("none", "selective", "bandit")


@dataclass(frozen=True)
class App:
    """
    What a user declares; everything is checked when it is made.

    Parameters
    ----------
    name : str
        Letters, digits, ``-`` and ``_``.
    data : callable, str or Path
        A function that returns a pandas, Polars or Arrow table or a DuckDB relation with one row an
        event, or a path or glob of Parquet or CSV files (relative to the app file).
    time : str
        Column with the time when the prediction was asked for: dates, datetimes or integers.
    label : str
        Column with the answer; missing where it is not known.
    models : dict of str to model
        Estimators with fit and predict (or predict_proba), functions ``train(X, y)`` that return a
        function ``predict(X)``, or `Forecast` columns. The first is the one that lives; the others
        are shown beside it.
    loss : str, Loss or callable
        A name such as ``"log_loss"`` or ``"auc"``, or your own.
    every : str, timedelta or int
        The cadence: how often a decision could be taken, such as ``"7D"``; an int where the time
        column holds integers.
    known_at : str, optional
        Column with the time when the label arrived. Give this or `delay`.
    delay : str, timedelta or int, optional
        Fixed label delay, such as ``"36h"``; 0 if answers come at once.
    features : callable, optional
        ``features(events)`` or ``features(events, tables)``: a frame with the same rows, made of
        what was known at each row's time. Default: all columns but time, label and the like.
    tables : dict of str to Table, optional
        Side tables, joined point in time by ``tables["name"].asof(events)``.
    logged : str or Stored, optional
        Stored table, by key of the event, in which features are kept as they were computed live; they count where
        there are any.
    outcomes : sequence of str
        Other columns that become known only with the label (the actual arrival, the amount paid
        back): ``mlwild check`` hides them with it.
    key : str, optional
        Column that names each event once.
    labels : callable, str or Path, optional
        Labels as a table of their own, with the columns `key`, `label` and `known_at`: the events then lack the last
        two. Of an event whose label changed the value known last counts.
    entity : str, optional
        Column that says whom an event is about; one entity has at most one event at a time.
    groups : sequence of str
        Columns by whose values the loss is shown too.
    windows : sequence of str or int
        Training windows: ``"all"`` or durations (ints where the time column holds integers). The
        first is the default of rules.
    seeds : sequence of int
        Every vintage is fitted once a seed; costs are averaged over them.
    update : {"partial_fit", "warm_start"} or callable, optional
        How to make the next vintage from the last one: ``update(model, X, y)``.
    prices : Prices, optional
        Without prices the answer is a frontier of loss against the number of retrains.
    feedback : {"none", "selective", "bandit"}
        Whether labels depend on the model's own decisions. ``selective``: labels exist only for
        rows that were let through; needs `propensity`. ``bandit``: the answer to one action is
        seen; without `propensity` rules are not ranked.
    propensity : str, optional
        Column with the probability with which a labelled row came to have a label.
    rules : sequence of Rule, optional
        Rules to compare; default `mlwild.rules.standard`.
    monitors : sequence of Monitor, optional
        Signals to be held against what the labels revealed later; default `mlwild.monitors.standard`.
    tests : sequence of Test or callable, optional
        Tests of the gate: ready ones and plain functions that assert; default `mlwild.gate.standard`.
    serving : Serving, optional
        How the service computes its answers, where that is other code than the app's own.
    trading : Trading, optional
        How predictions are traded, where the label is the return of a bar: then `mlwild stress` tells of drawdowns.
    stressors : sequence of Stressor, optional
        What the model is put under by `mlwild stress`; default `mlwild.stressors.standard`.
    owner : str
        Who is to be asked about a red test that names nobody.
    contract : str or Path, optional
        File with what the data must look like; `mlwild.load_app` takes ``churn.contract.toml`` beside ``churn.py``.
    start : str or int, optional
        First cutoff; default the first after eight periods with `min_rows` known labels.
    min_rows : int
        Periods with fewer labels are named as too small to be judged alone.
    frame : {"pandas", "polars", "pyarrow"}
        Kind of frame made of files.
    root : Path
        Folder that relative paths start from; `mlwild.load_app` sets it.
    file : Path, optional
        The file that it was loaded from; `mlwild.load_app` sets it.

    Raises
    ------
    AppError
        If a field is wrong; the message begins with its name.

    Examples
    --------
    >>> app = App(
    ...     name="naive", data="prices.parquet", time="when", label="price", delay="1D",
    ...     models={"published": Forecast("forecast")}, loss="absolute", every="7D",
    ... )
    >>> app.loss_.name
    'absolute'
    """

    name: str
    data: Source
    time: str
    label: str
    models: Mapping[str, Any]
    loss: str | Loss | Callable[[Any, Any], Any]
    every: str | timedelta | int
    known_at: str | None = None
    delay: str | timedelta | int | None = None
    features: Callable[..., Any] | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    outcomes: Sequence[str] = ()
    key: str | None = None
    labels: Source | None = None
    entity: str | None = None
    groups: Sequence[str] = ()
    windows: Sequence[str | int] = (ALL,)
    seeds: Sequence[int] = (0,)
    update: Update | None = None
    prices: Prices | None = None
    feedback: str = "none"
    propensity: str | None = None
    rules: Sequence[Rule] | None = None
    monitors: Sequence[Monitor] | None = None
    tests: Sequence[Any] | None = None
    serving: Serving | None = None
    trading: Trading | None = None
    stressors: Sequence[Stressor] | None = None
    owner: str = ""
    contract: str | Path | None = None
    logged: str | Stored | None = None
    start: str | int | None = None
    min_rows: int = 30
    frame: str = "pandas"
    root: Path = Path()
    file: Path | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        _check_words(self)
        _check_label_arrival(self)
        _check_functions(self)
        _check_models(self)
        _check_numbers(self)

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that is read: events, labels of their own, side tables."""
        own = () if self.labels is None else (self.labels,)
        return (self.data, *own, *(one.data for one in self.tables.values()))

    @property
    def loss_(self) -> Loss:
        """The loss, resolved."""
        return losses.named(self.loss)

    @property
    def every_(self) -> Duration:
        """The cadence, parsed."""
        return Duration.parse(self.every, "every")

    @property
    def delay_(self) -> int | None:
        """The fixed label delay in nanoseconds or ticks, or None."""
        return None if self.delay is None else delay_of(self.delay)

    @property
    def live(self) -> str:
        """Name of the model that lives."""
        return next(iter(self.models))

    @property
    def not_features(self) -> tuple[str, ...]:
        """Columns that are not features unless the user makes them so."""
        named = (self.time, self.label, self.known_at, self.key, self.entity, self.propensity)
        forecasts = tuple(model.column for model in self.models.values() if isinstance(model, Forecast))
        return tuple(name for name in (*named, *self.outcomes, *forecasts) if name)


def check_windows(app: App, rules: Sequence[Rule]) -> None:
    """Refuse a rule that trains on a window of which there is no triangle."""
    have = [str(window) for window in app.windows]
    for rule in rules:
        window = getattr(rule, "window", None)
        _need(
            window is None or str(window) in have,
            "rules",
            f"{rule.name!r} trains on the window {window!r}, which is not among windows={have}.",
        )


def _need(condition: bool, field_: str, message: str) -> None:
    if not condition:
        raise AppError(f"{field_}: {message}")


def _check_words(app: App) -> None:
    plain = isinstance(app.name, str) and app.name.replace("-", "").replace("_", "").isalnum()
    _need(plain, "name", f"{app.name!r} must be letters, digits, '-' and '_'.")
    for name in ("time", "label"):
        value = getattr(app, name)
        _need(isinstance(value, str) and value != "", name, f"{value!r} is not the name of a column.")
    for name in ("known_at", "key", "entity", "propensity"):
        value = getattr(app, name)
        _need(
            value is None or (isinstance(value, str) and value != ""), name, f"{value!r} is not the name of a column."
        )
    for name in ("outcomes", "groups", "windows", "seeds"):
        value = getattr(app, name)
        _need(
            isinstance(value, Sequence) and not isinstance(value, str),
            name,
            f"{value!r} is not a list. Write [{value!r}].",
        )
    _need(app.label != app.time, "label", f"{app.label!r} is the time column too.")
    _need(
        callable(app.data) or isinstance(app.data, str | Path),
        "data",
        f"{type(app.data).__name__} is neither a function that returns a table nor a path. Write data=lambda: frame.",
    )
    _need(app.frame in KINDS, "frame", f"{app.frame!r} is not one of {', '.join(KINDS)}.")
    _need(app.feedback in FEEDBACK, "feedback", f"{app.feedback!r} is not one of {', '.join(FEEDBACK)}.")
    if app.feedback == "selective":
        _need(
            app.propensity is not None,
            "propensity",
            "feedback='selective' needs the column with the probability that a row's label was seen; "
            "without it no replay can be trusted.",
        )
    if app.propensity is not None:
        _need(app.feedback != "none", "feedback", "a propensity is given, so say 'selective' or 'bandit'.")


def _check_label_arrival(app: App) -> None:
    if (app.known_at is None) == (app.delay is None):
        both = "both are given" if app.delay is not None else "neither is given"
        raise AppError(f"known_at: {both}. Say when labels arrive: known_at='column', or delay='36h' (0 if at once).")
    if app.labels is not None:
        _need(
            callable(app.labels) or isinstance(app.labels, str | Path),
            "labels",
            f"{type(app.labels).__name__} is neither a function that returns a table nor a path.",
        )
        _need(app.key is not None, "labels", "name the column of their events: key='order_id'.")
        _need(app.known_at is not None, "labels", "name the column that says from when they are known: known_at='at'.")
    _ = app.delay_
    _ = app.every_


def _check_functions(app: App) -> None:
    _need(isinstance(app.tables, Mapping), "tables", "is not a dict of name to Table.")
    for name, table in app.tables.items():
        where = f"tables[{name!r}]"
        _need(isinstance(table, Table), where, f"{type(table).__name__} is not a Table.")
        _need(
            (table.available_at is None) != (table.delay is None),
            where,
            "say when its rows could be read: available_at='column', or delay='1h' (0 if at once).",
        )
        if table.delay is not None:
            delay_of(table.delay, f"{where}.delay")
    if app.features is None:
        return
    _need(callable(app.features), "features", f"{app.features!r} is not a function.")
    needed, taken = _arguments(app.features)
    _need(needed <= 2 and taken >= 1, "features", f"takes {needed} arguments; it gets (events) or (events, tables).")
    one = "takes one argument, but there are tables: features(events, tables)."
    _need(taken >= 2 or not app.tables, "features", one)


def _arguments(function: Callable[..., Any]) -> tuple[int, int]:
    """Return how many arguments a function needs, and how many it can take, by position."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin without a signature
        return 1, 2
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 1, 2
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return sum(parameter.default is parameter.empty for parameter in plain), len(plain)


def takes_tables(function: Callable[..., Any], tables: Mapping[str, Table]) -> bool:
    """Say whether a features function is to be given the side tables."""
    needed, taken = _arguments(function)
    return needed == 2 or (taken >= 2 and bool(tables))


def _check_models(app: App) -> None:
    _need(
        isinstance(app.models, Mapping) and len(app.models) > 0, "models", "name at least one model: {'name': model}."
    )
    ask = app.loss_.predicts
    for name, model in app.models.items():
        models.check(model, f"models[{name!r}]", ask, app.update if name == app.live else None)
    if app.update is not None and not callable(app.update):
        _need(
            app.update in ("partial_fit", "warm_start"),
            "update",
            f"{app.update!r} is not 'partial_fit', 'warm_start' or a function update(model, X, y).",
        )
    weighted = app.propensity is not None and app.loss_.per == "set"
    _need(not weighted, "loss", f"{app.loss_.name!r} is a loss of a set, which propensities cannot reweight.")


def _check_numbers(app: App) -> None:
    _need(len(app.windows) > 0, "windows", "name at least one, such as 'all' or '28D'.")
    for window in app.windows:
        if window != ALL:
            Duration.parse(window, "windows")
    _need(len(set(map(str, app.windows))) == len(app.windows), "windows", "one is named twice.")
    for window in app.windows:
        _need(isinstance(window, str | int), "windows", f"{window!r} is not 'all' or a duration such as '28D'.")
    for seed in app.seeds:
        _need(isinstance(seed, int) and 0 <= seed < 2**32, "seeds", f"{seed!r} is not an int from 0 to 2**32 - 1.")
    _need(len(set(app.seeds)) == len(app.seeds) > 0, "seeds", "give at least one, each once.")
    _need(isinstance(app.min_rows, int) and app.min_rows >= 1, "min_rows", f"{app.min_rows!r} is not a positive int.")
    if app.prices is not None:
        _need(isinstance(app.prices, Prices), "prices", "is not a Prices(loss=..., retrain=...).")
        for name in ("loss", "retrain", "update_price", "shadow", "rollback"):
            value = getattr(app.prices, name)
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
            _need(good, f"prices.{name}", f"{value!r} is not a finite number of at least 0.")
        _need(app.prices.loss > 0, "prices.loss", "is 0: then nothing is gained by retraining.")
    if app.rules is not None:
        names = [getattr(rule, "name", None) for rule in app.rules]
        _need(None not in names, "rules", "one has no name; a rule has `name` and `decide(view, memory)`.")
        doubles = sorted({str(name) for name in names if names.count(name) > 1})
        _need(not doubles, "rules", f"{', '.join(doubles)} named twice.")
        check_windows(app, app.rules)
    if app.monitors is not None:
        _check_monitors(app.monitors)
    if app.tests is not None:
        as_tests(app.tests)
    _need(app.serving is None or isinstance(app.serving, Serving), "serving", "is not a Serving(...).")
    _need(app.trading is None or isinstance(app.trading, Trading), "trading", "is not a Trading(...).")
    traded = app.trading is None or app.loss_.predicts == "value"
    _need(traded, "trading", f"the loss {app.loss_.name!r} asks for classes, and positions are made of numbers.")
    _need(app.contract is None or isinstance(app.contract, str | Path), "contract", f"{app.contract!r} is not a path.")
    _need(isinstance(app.owner, str), "owner", f"{app.owner!r} is not a name.")
    if app.logged is not None:
        good = isinstance(app.logged, str | Stored) and app.logged != ""
        _need(good, "logged", f"{app.logged!r} is neither the name of a stored table nor a Stored(...).")
        _need(app.key is not None, "key", "features are logged by it: name the column that names each event once.")


def _check_monitors(monitors: Sequence[Monitor]) -> None:
    for monitor in monitors:
        whole = isinstance(getattr(monitor, "name", None), str) and callable(getattr(monitor, "signal", None))
        _need(
            whole and not isinstance(monitor, type),
            "monitors",
            f"{monitor!r} is no monitor: give it `name` and `signal(scene)`.",
        )
        _need(
            type(monitor).__hash__ is not None,
            "monitors",
            f"{monitor.name!r} cannot be hashed. Make it a frozen dataclass.",
        )
    names = [monitor.name for monitor in monitors]
    doubles = sorted({name for name in names if names.count(name) > 1})
    _need(not doubles, "monitors", f"{', '.join(doubles)} named twice.")
