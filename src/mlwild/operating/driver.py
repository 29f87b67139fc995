"""Operate: the rehearsed rule runs live, one tick at each cutoff that is due."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.clock import WARM_UP
from mlwild.compute import Jobs
from mlwild.digest import digest
from mlwild.errors import AppError, BusyError, DataError, StoreError
from mlwild.events import Events
from mlwild.ledger import Draft, Ledger
from mlwild.operating.desk import Desk, Gate, Registrar, pinned
from mlwild.operating.life_sheet import keep_card
from mlwild.operating.lived import Lived, lived
from mlwild.operating.opening import (
    Wish,
    code_of,
    first_cutoff,
    instant_of,
    opened,
    read_rule,
    rule_key,
    rule_path,
    same_code,
)
from mlwild.operating.publishing import make_again, publish_again
from mlwild.operating.status import LEDGER, gone, keep_status, keep_trouble
from mlwild.operating.tick import Tick, tick
from mlwild.rehearsal import STORE, folder_of
from mlwild.rules import Rule
from mlwild.triangle.store import Store
from mlwild.triangle.survey import cutoffs_of, read_events

_NAMED = (
    "app",
    "rule",
    "until",
    "following",
    "dry",
    "live",
    "loss",
    "unit",
    "was",
    "reopened",
    "price",
    "made_of",
    "mended",
    "seal",
)


@dataclass(frozen=True)
class Operation:
    """
    What an operation did.

    Parameters
    ----------
    app, rule : str
    ticks : tuple of Tick
        Those that were due, in order.
    until : str
        Last cutoff that the data reach.
    following : str
        The next one.
    dry : bool
        Whether it was a plan: nothing was written.
    live : str
        What is live now.
    loss : str
        Name of the loss that is promised; a metric that was turned round says so.
    unit : str
        Currency of prices; empty without prices.
    was : str
        What was live before; empty if nothing was.
    reopened : bool
        Whether a new life was opened: the first one, or one of other code.
    made_of : str
        Digest of the app's code.
    mended : str
        What of the store was gone and has been made again, where no tick was due; empty if nothing was.
    """

    app: str
    rule: str
    ticks: tuple[Tick, ...]
    until: str
    following: str
    dry: bool
    live: str
    loss: str
    unit: str
    was: str = ""
    reopened: bool = False
    made_of: str = ""
    mended: str = ""

    @property
    def price(self) -> float:
        """What the decisions cost."""
        return float(sum(one.facts["decided"]["price"] for one in self.ticks))

    @property
    def seal(self) -> str:
        """Digest of all that was done, or would be: two plans with one seal are one plan."""
        ticks = [(one.cutoff, one.facts) for one in self.ticks]
        return digest("plan 1", self.app, self.made_of, self.rule, self.reopened, json.dumps(ticks, sort_keys=True))

    @property
    def alarms(self) -> list[tuple[str, str]]:
        """When somebody should look, and why."""
        return [(one.at, one.alarm) for one in self.ticks if one.alarm]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        ticks = [{"cutoff": one.cutoff, "at": one.at, "facts": one.facts, "new": one.new} for one in self.ticks]
        alarms = [{"at": at, "why": why} for at, why in self.alarms]
        named = {name: getattr(self, name) for name in _NAMED}
        return named | {"ticks": ticks, "alarms": alarms}


def operate(
    app: App,
    *,
    rule: Rule | str | None = None,
    at: str | int | None = None,
    begin: str | int | None = None,
    gate: Gate | None = None,
    registrar: Registrar | None = None,
    dry: bool = False,
    reopen: bool = False,
    store: str | Path = STORE,
    jobs: Jobs = None,
    today: date | None = None,
    progress: Callable[[str], None] | None = None,
) -> Operation:
    """
    Do every tick that is due, in order, each as of its own time; a second call does nothing more.

    A tick observes what arrived, lets the rule decide, fits, has the gate judge what would go live, holds earlier
    promises against what came, promises the next period's loss, and publishes what is live. All of it is in the
    ledger, which is the state: a call that was killed is finished by the next one.

    A cutoff is due when the data reach it: when an event at or after it is there. The first call opens the life, at the
    last such cutoff: with a model fitted on all that is known there, and with promises that rest on the life that the
    rule would have led until then.

    Parameters
    ----------
    app : App
    rule : Rule or str, optional
        When it is opened: what decides; default the one that the last rehearsal recommended.
    at : str or int, optional
        Do nothing beyond this instant.
    begin : str or int, optional
        When it is opened: the first cutoff at or after this instant.
    gate : callable, optional
        ``gate(app, today)`` returns why the app, as it was known at a cutoff, must not go live; empty if it may.
    registrar : Registrar, optional
        Keeps what goes live under versions: `mlwild.versions.Registrar`.
    dry : bool
        Only plan: nothing is written but fits.
    reopen : bool
        Open a new life of the same app, after its code or its rule has changed.
    store, jobs : optional
        As for `mlwild.rehearse`.
    today : date, optional
        Day that waivers of the gate are held against.
    progress : callable, optional
        Called before each tick with its instant.

    Returns
    -------
    Operation

    Raises
    ------
    AppError, DataError
        If a field, the data or an argument is wrong.
    BusyError
        If another process operates the same app.
    StoreError
        If the ledger is damaged or cannot be written.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from mlwild import App, Prices
    >>> from mlwild.rules import BreakEven
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=400)
    >>> rows = pd.DataFrame({"when": np.arange(400), "x": x, "y": x + rng.normal(size=400)})
    >>> def train(X, y):
    ...     slope = float((X["x"] * y).sum() / (X["x"] ** 2).sum())
    ...     return lambda X: slope * X["x"].to_numpy()
    >>> app = App(
    ...     name="line", data=lambda: rows, time="when", label="y", delay=0, models={"line": train},
    ...     loss="squared", every=50, start=50, prices=Prices(loss=1.0, retrain=5.0),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = operate(app, rule=BreakEven(), begin=250, store=folder)
    ...     again = operate(app, store=folder)
    >>> [one.action for one in first.ticks], len(again.ticks), first.live
    (['start', 'keep', 'keep'], 0, '4')
    """
    root = Store(folder_of(app, store) / "operate" / app.name)
    try:
        return _operated(
            app, root, Wish(rule, begin, store, jobs), _Call(at, gate, registrar, dry, reopen, today, progress)
        )
    except BusyError:
        raise
    except (Exception, SystemExit) as problem:
        if not dry and (root.root / LEDGER).exists():
            keep_trouble(root.root, problem)
            try:
                keep_card(Ledger(root.root / LEDGER), root.root)
            except StoreError as worse:  # the problem itself is on its way, and says more
                problem.add_note(str(worse))
        raise


@dataclass(frozen=True)
class _Call:
    """How far a call goes, and by what it is judged: the arguments of `operate`."""

    at: str | int | None
    gate: Gate | None
    registrar: Registrar | None
    dry: bool
    reopen: bool
    today: date | None
    progress: Callable[[str], None] | None


def _operated(app: App, root: Store, wish: Wish, call: _Call) -> Operation:
    app = pinned(app)
    events, tables = read_events(app)
    with root.lock(app.name, life=True):
        path = root.root / LEDGER
        ledger = Draft(path) if call.dry else Ledger(path)
        before = lived(ledger)
        if before is None and not call.reopen and (lost := gone(root.root)):
            raise StoreError(f"{lost}.")
        life = None if call.reopen else before
        edges = reached(app, events, life, call.at)
        # A life that was opened and has not begun may begin otherwise.
        wished = wish.rule is not None or wish.begin is not None
        if life is None or (not life.decided and wished):
            kept = wish.rule or (None if life is None else rule_of(life, root))
            goes_on = before is not None and bool(before.path) and not call.dry
            on = Draft(path) if goes_on else ledger
            life = opened(app, (events, tables), edges, on, root, replace(wish, rule=kept))
        else:
            goes_on = False
            same(app, life, wish, events, edges)
        chosen = rule_of(life, root)
        desk = Desk(app, events, tables, edges, root, ledger, chosen, call.gate, wish.jobs, call.today, call.registrar)
        first = life.ticked + 1
        if call.progress is not None and first < len(edges):
            call.progress(events.clock.show(int(edges[first])))
        if goes_on:  # what is live ends with the first decision of a life whose first tick can be done, and not before
            tick(replace(desk, ledger=on), first)
            ledger.hold(life.opened)
        publish_again(desk)
        mended = make_again(desk) if first == len(edges) else ""
        ticks = []
        for cutoff in range(first, len(edges)):
            if call.progress is not None and cutoff > first:
                call.progress(events.clock.show(int(edges[cutoff])))
            # What the gate let pass a moment ago has passed.
            ticks.append(tick(replace(desk, gate=None) if goes_on and cutoff == first else desk, cutoff))
        if not call.dry:
            keep_status(ledger, root.root)
            keep_card(ledger, root.root)
        path_ = desk.lived().path
    return Operation(
        app=app.name,
        rule=chosen.name,
        ticks=tuple(ticks),
        until=events.clock.show(int(edges[-1])),
        following=desk.following(len(edges) - 1),
        dry=call.dry,
        live=str(path_[-1]) if path_ else "",
        loss=app.loss_.title,
        unit=app.prices.unit if app.prices is not None else "",
        was=str(before.path[-1]) if before is not None and before.path else "",
        reopened=before is None or before.opened != desk.lived().opened,
        made_of=code_of(app),
        mended=mended,
    )


def reached(app: App, events: Events, life: Lived | None, at: str | int | None) -> NDArray[np.int64]:
    """Return the cutoffs that are due by an instant, and those whose tick was done."""
    if life is None or not life.decided:
        return due(app, events, None if life is None else life.since, at)
    edges, done = due(app, events, life.since, None), life.ticked + 1
    asked = len(edges) if at is None else int((edges <= instant_of(events.clock, at, "at")).sum())
    return edges[: max(asked, done)]


def due(app: App, events: Events, since: tuple[int, int] | None, at: str | int | None) -> NDArray[np.int64]:
    """Return the cutoffs that the data have reached: an event at or after them is there, so none before is to come."""
    edges = cutoffs_of(app, events, since)
    edges = edges[edges <= events.time[-1]]
    if at is not None:
        edges = edges[edges <= instant_of(events.clock, at, "at")]
    if not len(edges):
        raise DataError(
            f"data: no cutoff yet{'' if at is None else f' by {at}'}; there is nothing to operate on. The first is at "
            f"`start`, or after {WARM_UP} periods of {app.every_} with {app.min_rows} known labels: give more history."
        )
    return np.asarray(edges)


def same(app: App, life: Lived, wish: Wish, events: Events, edges: NDArray[np.int64]) -> None:
    """Refuse to go on with another app, rule or calendar than those that the life was opened with."""
    opened = life.opened.body
    if not same_code(app, opened["made_of"]):
        live = "What is live was made by that code. Restore it, or open" if life.decided else "Nothing is live: open"
        raise AppError(
            f"app: {app.name!r} is not what it was when it was opened at {opened['at']} (models, features, loss, "
            f"cadence, windows, prices or the like). {live} a new life with --reopen{_when(life, edges)}."
        )
    have = opened["rule"]
    named = wish.rule if isinstance(wish.rule, str) or wish.rule is None else wish.rule.name
    other = not isinstance(wish.rule, str) and wish.rule is not None and rule_key(wish.rule) != have["key"]
    if (named is not None and named != have["name"]) or other:
        said = " with other parameters" if other and named == have["name"] else ""
        raise AppError(
            f"rule: {app.name!r} runs under {have['name']!r}{said}. To change it, open a new life with --reopen."
        )
    if wish.begin is not None and first_cutoff(events.clock, edges, wish.begin) != life.first:
        raise AppError(
            f"begin: the life of {app.name!r} began at {opened['at']} and goes on. Leave --begin out, or open a new "
            "life with --reopen."
        )
    if len(edges) <= life.ticked:
        last_tick = next(fact.body["at"] for fact in reversed(life.facts) if fact.kind == "ticked")
        raise DataError(
            f"data: they reach {events.clock.show(int(events.time[-1]))}, and the tick at {last_tick} was done: rows "
            "at the end are gone. Restore them, or open a new life with --reopen."
        )
    last = life.decided[-1] if life.decided else None
    expected = [(life.first, int(opened["edge"]))] + ([(last.cutoff, last.at)] if last is not None else [])
    for cutoff, edge in expected:
        if cutoff < len(edges) and int(edges[cutoff]) != edge:
            clock = events.clock
            raise DataError(
                f"data: cutoff {cutoff} was at {clock.show(edge)} and is now at {clock.show(int(edges[cutoff]))}: the "
                "history begins elsewhere than before. Restore its first rows, or open a new life with --reopen."
            )


def _when(life: Lived, edges: NDArray[np.int64]) -> str:
    """Say from when on another life can be opened, where the data have not come so far."""
    done = [fact.body for fact in life.facts if fact.kind == "ticked"]
    return f" when the data reach {done[-1]['next']}" if done and len(edges) - 1 <= life.ticked else ""


def rule_of(life: Lived, root: Store) -> Rule:
    body = life.opened.body["rule"]
    return read_rule(rule_path(root, str(body["key"])), str(body["name"]))


__all__ = ["Operation", "operate"]
