"""The app: one frozen declaration of data, time, label, models, loss, cadence and prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mlwild import losses
from mlwild.clock import Duration, delay_of
from mlwild.declared import PREVIOUS, check_all
from mlwild.frames import Source
from mlwild.guards import Guard
from mlwild.losses import Loss
from mlwild.models import Forecast, Update
from mlwild.monitors import Monitor
from mlwild.records import ALL, Prices
from mlwild.rules import Rule
from mlwild.serving import Serving
from mlwild.side_tables import Table
from mlwild.stressors import Stressor
from mlwild.trading import Trading
from mlwild.warehouse import Stored


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
    fallback : sequence of str, optional
        Who answers when the model that lives cannot, in order: ``"previous"``, which is what was live before, and names
        of other `models`; after them a constant. Default the previous one and all others.
    guard : Guard, optional
        How careful answers are; default `mlwild.Guard`.
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
    fallback: Sequence[str] | None = None
    guard: Guard | None = None
    start: str | int | None = None
    min_rows: int = 30
    frame: str = "pandas"
    root: Path = Path()
    file: Path | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        check_all(self)

    @property
    def chain(self) -> tuple[str, ...]:
        """The stages that answer when the model that lives cannot, in order; the constant comes last of all."""
        if self.fallback is not None:
            return tuple(self.fallback)
        others = (name for name, model in self.models.items() if name != self.live and not isinstance(model, Forecast))
        return (PREVIOUS, *others)

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
