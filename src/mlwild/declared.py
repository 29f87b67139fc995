"""What an app declares, field by field: each check raises with the field's name in front."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlwild import models
from mlwild.clock import Duration, delay_of
from mlwild.errors import AppError
from mlwild.frames import KINDS
from mlwild.gate.cases import as_tests
from mlwild.guards import Guard
from mlwild.models import Forecast
from mlwild.monitors import Monitor
from mlwild.records import ALL, Prices
from mlwild.rules import Rule
from mlwild.serving import Serving
from mlwild.side_tables import Table
from mlwild.trading import Trading
from mlwild.warehouse import Stored

FEEDBACK = ("none", "selective", "bandit")
#: The stage of a chain that is what was live before.
PREVIOUS = "previous"


def check_all(app: Any) -> None:
    """
    Check every field of an `mlwild.App`, which calls this.

    Raises
    ------
    AppError
        If a field is wrong.
    """
    check_words(app)
    check_label_arrival(app)
    check_functions(app)
    check_models(app)
    check_numbers(app)
    check_chain(app)


def check_chain(app: Any) -> None:
    """Check the fallback chain and the guard."""
    _need(app.guard is None or isinstance(app.guard, Guard), "guard", "is not a Guard(...).")
    if app.guard is not None:  # said here, or it would be live before anybody asked it for an answer
        ask, loss = app.loss_.predicts, f"the loss {app.loss_.name!r} asks for"
        sure = app.guard.risk is None or ask.startswith("probab")
        _need(sure, "guard.risk", f"{loss} no probabilities of classes, so that nobody knows what is sure.")
        ends = (app.guard.low, app.guard.high) != (None, None)
        _need(not ends or ask == "value", "guard.low, high", f"{loss} classes, and intervals are for numbers.")
    if app.fallback is None:
        return
    listed = isinstance(app.fallback, Sequence) and not isinstance(app.fallback, str)
    _need(listed, "fallback", f"{app.fallback!r} is not a list. Write [{app.fallback!r}].")
    can = [PREVIOUS, *(name for name in app.models if name != app.live)]
    for name in app.fallback:
        _need(name in can, "fallback", f"{name!r} is not one of {', '.join(map(repr, can))}.")
        forecast = isinstance(app.models.get(name), Forecast)
        _need(not forecast, "fallback", f"{name!r} is a published forecast, which no request holds.")
    _need(len(set(app.fallback)) == len(app.fallback), "fallback", "one is named twice.")


def check_windows(app: Any, rules: Sequence[Rule]) -> None:
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


def check_words(app: Any) -> None:
    """Check the names and words."""
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


def check_label_arrival(app: Any) -> None:
    """Check when labels come."""
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


def check_functions(app: Any) -> None:
    """Check features and side tables."""
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


def check_models(app: Any) -> None:
    """Check the models against the loss."""
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


def check_numbers(app: Any) -> None:
    """Check windows, seeds, prices, rules and all else that is a value."""
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
