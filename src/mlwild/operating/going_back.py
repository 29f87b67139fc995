"""Going back: an earlier vintage is put in place by a person, who sees first what that would have cost so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.compute import Jobs
from mlwild.errors import AppError, StoreError
from mlwild.ledger import Draft, Fact, Ledger
from mlwild.models import Forecast
from mlwild.operating.desk import Desk, Registrar, pinned
from mlwild.operating.driver import reached, rule_of, same
from mlwild.operating.life_sheet import keep_card
from mlwild.operating.lived import Lived, lived, move_memory, of_vintage
from mlwild.operating.opening import Wish
from mlwild.operating.publishing import publish_again
from mlwild.operating.registering import registered, to_register
from mlwild.operating.status import LEDGER, keep_status
from mlwild.records import Vintage
from mlwild.rehearsal import STORE, folder_of
from mlwild.stats.paired import Difference, fixed_b
from mlwild.stats.reweighting import effective_sample_size
from mlwild.triangle import Triangle
from mlwild.triangle.store import Store
from mlwild.triangle.survey import read_events

Floats = NDArray[np.float64]

#: Level of the intervals of what going back would have cost; fewest rows that weights may leave of the sample.
LEVEL, FEWEST = 0.95, 30


@dataclass(frozen=True)
class Way:
    """
    An earlier vintage that could be put back, and how it would have done since it and the live one had come first.

    Parameters
    ----------
    vintage : str
    since : str
        When it was put in place first.
    age : int
        Periods since it learned.
    n : int
        Labelled rows since both had come first (periods, where the loss is one of a set).
    live_loss, loss : float or None
        Mean loss on them of what is live, and of this one, weighted as the app weighs rows; None without a row.
    gain : float or None
        The first less the second: what going back would have saved on a row.
    low, high : float or None
        Its interval; None where there are too few rows to say.
    """

    vintage: str
    since: str
    age: int
    n: int
    live_loss: float | None
    loss: float | None
    gain: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Rollback:
    """
    What going back did, or would do.

    Parameters
    ----------
    app : str
    live : str
        What was live.
    to : str
        What is live now.
    at : str
        Last finished tick: from its period on the older vintage counts as live.
    price : float
    unit, loss : str
        Currency; name of the loss, where a metric was turned round with that.
    held : int
        Ticks for which the rule must keep what was put back.
    ways : tuple of Way
        All that one could have gone back to, the newest first.
    dry : bool
        Whether nothing was done.
    counted : str
        What their `n` counts: ``row`` or ``period``.
    """

    app: str
    live: str
    to: str
    at: str
    price: float
    unit: str
    loss: str
    held: int
    ways: tuple[Way, ...]
    dry: bool
    counted: str = "row"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def rollback(
    app: App,
    *,
    to: str | None = None,
    why: str = "",
    hold: int = 0,
    dry: bool = False,
    registrar: Registrar | None = None,
    store: str | Path = STORE,
    jobs: Jobs = None,
) -> Rollback:
    """
    Put an earlier vintage back in place, at once; the ledger says who replaced what, and why.

    It counts as live for the period that runs, whose promise was of another model and is not judged. From the next tick
    on the rule decides again, with the older vintage live, as if it had fallen back to it itself.

    Parameters
    ----------
    app : App
    to : str, optional
        Which vintage; default the one that was live before, for a whole period at least.
    why : str
        For the ledger.
    hold : int
        So many ticks the rule must keep it: it might retrain on the same bad rows.
    dry : bool
        Only say what there is to go back to, and how it would have done.
    registrar : Registrar, optional
        As for `operate`; where it is away, the next tick tells it.
    store, jobs : optional
        As for `operate`.

    Returns
    -------
    Rollback

    Raises
    ------
    AppError
        If the app is not in operation, its last tick is not finished, or there is no such vintage to go back to.
    StoreError
        If the older vintage does not agree with its digest, or the ledger cannot be written.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from mlwild import App
    >>> from mlwild.operating import operate
    >>> from mlwild.rules import Every
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=400)
    >>> rows = pd.DataFrame({"when": np.arange(400), "x": x, "y": x + rng.normal(size=400)})
    >>> def train(X, y):
    ...     slope = float((X["x"] * y).sum() / (X["x"] ** 2).sum())
    ...     return lambda X: slope * X["x"].to_numpy()
    >>> app = App(
    ...     name="line", data=lambda: rows, time="when", label="y", delay=0, models={"line": train},
    ...     loss="squared", every=50, start=50,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = operate(app, rule=Every(1), begin=250, store=folder)
    ...     back = rollback(app, why="the last fit saw a broken feed", store=folder)
    >>> back.live, back.to, [way.vintage for way in back.ways]
    ('6', '5', ['5', '4'])
    """
    if hold < 0:
        raise AppError(f"hold: {hold} is below 0. Say for how many ticks the rule must keep what is put back.")
    with at_desk(app, store=store, jobs=jobs, dry=dry) as desk:
        life = desk.lived()
        cutoff, live = life.ticked, life.path[-1]
        chosen = _chosen(life, to, app.name)
        triangle = desk.triangle(cutoff)
        sound = [one for one in _candidates(life) if one == chosen or triangle.usable(one)]
        ways = tuple(_way(desk, triangle, one, live) for one in sound)
        _check_artefact(desk, triangle, chosen)
        prices = app.prices
        body = {
            "action": "fall back",
            "vintage": of_vintage(chosen),
            "live": str(chosen),
            "instead_of": of_vintage(live),
            "why": f"rolled back by hand: {why}" if why else "rolled back by hand",
            "price": 0.0 if prices is None else prices.rollback,
            "hold": hold,
            "ways": [asdict(way) for way in ways],
        }
        desk.ledger.append(Fact("ordered", cutoff, body))
        if desk.ledger.lasting:
            move_memory(desk.rule, life.decided, desk.lived().decided, desk.store)
            publish_again(desk)
            keep_status(desk.ledger, desk.store.root)
            there = replace(desk, registrar=registrar)
            if to_register(there):
                desk.ledger.append(Fact("registered", cutoff, registered(there, cutoff)))
                keep_status(desk.ledger, desk.store.root)
            keep_card(desk.ledger, desk.store.root)
    return Rollback(
        app=app.name,
        live=str(live),
        to=str(chosen),
        at=desk.clock.show(int(desk.edges[cutoff])),
        price=float(body["price"]),  # type: ignore[arg-type]
        unit="" if prices is None else prices.unit,
        loss=app.loss_.title,
        held=hold,
        ways=ways,
        dry=dry,
        counted=app.loss_.counted,
    )


@contextmanager
def at_desk(app: App, *, store: str | Path, jobs: Jobs = None, dry: bool = False) -> Iterator[Desk]:
    """
    Hold an app in operation between two ticks.

    Raises
    ------
    AppError
        If it is not in operation, its last tick is not finished, or it is not the app that was opened.
    BusyError
        If another process operates it.
    """
    root = Store(folder_of(app, store) / "operate" / app.name)
    if not (root.root / LEDGER).exists():
        raise AppError(
            f"app: {app.name!r} is not in operation in {root.root.parent.parent}. Begin with mlwild operate."
        )
    app = pinned(app)
    events, tables = read_events(app)
    with root.lock(app.name, life=True):
        ledger = Draft(root.root / LEDGER) if dry else Ledger(root.root / LEDGER)
        life = lived(ledger)
        if life is None or not life.decided or life.ticked != life.decided[-1].cutoff:
            raise AppError(f"app: the last tick of {app.name!r} is not finished. Run mlwild operate first.")
        edges = reached(app, events, life, None)
        same(app, life, Wish(None, None, store, jobs), events, edges)
        yield Desk(app, events, tables, edges[: life.ticked + 1], root, ledger, rule_of(life, root), None, jobs)


def _candidates(life: Lived) -> list[Vintage]:
    """Return what was in place before, the newest first: what was replaced in the period that it came in as well."""
    return [one for one in dict.fromkeys(one for one, _ in reversed(life.came)) if one != life.path[-1]]


def _chosen(life: Lived, to: str | None, app: str) -> Vintage:
    before = _candidates(life)
    if not before:
        raise AppError(
            f"to: {app!r} has had one vintage only, {life.path[-1]}: there is none to go back to. To go back to "
            "earlier code, restore it and run mlwild deploy."
        )
    if to is None:  # who goes back once more does not mean what was bad enough to be replaced at once
        return next((one for one in before if one in life.path), before[0])
    found = next((one for one in before if str(one) == to), None)
    if found is None:
        have = ", ".join(str(one) for one in before)
        raise AppError(f"to: vintage {to!r} was never live, or is live now; one can go back to {have}.")
    return found


def _check_artefact(desk: Desk, triangle: Triangle, vintage: Vintage) -> None:
    if isinstance(desk.app.models[desk.app.live], Forecast):
        return
    told = next(
        (fact.body for fact in desk.lived().facts if fact.kind == "fitted" and fact.body["live"] == str(vintage)), None
    )
    noted = desk.store.get(triangle.recipe.fit_key(vintage), "model")
    if vintage in triangle.lost or noted is None or (told is not None and noted["digest"] != told["digest"]):
        raise StoreError(
            f"store: the model of vintage {vintage} is missing, or is not the one that was live (other digest). "
            f"Nothing was changed. Go back to another vintage, or restore {desk.store.root}."
        )


def _way(desk: Desk, triangle: Triangle, vintage: Vintage, live: Vintage) -> Way:
    """Hold an earlier vintage against what is live, on the rows since both had come first."""
    life, grid = desk.lived(), triangle.survey.grid
    came = dict(reversed(life.came))  # for the first time
    ours, theirs, weight = _losses(triangle, live, vintage, max(came[live], live.cutoff, vintage.cutoff))
    known = len(ours) > 0
    found = _gain(ours, theirs, weight) if known else None
    sure = found is not None and not found.undecided
    return Way(
        vintage=str(vintage),
        since=desk.clock.show(int(desk.edges[came[vintage]])),
        age=grid.periods - vintage.cutoff,
        n=len(ours),
        live_loss=float(np.average(ours, weights=weight)) if known else None,
        loss=float(np.average(theirs, weights=weight)) if known else None,
        gain=float(np.average(ours - theirs, weights=weight)) if known else None,
        low=found.low if found is not None and sure else None,
        high=found.high if found is not None and sure else None,
    )


def _gain(ours: Floats, theirs: Floats, weight: Floats) -> Difference | None:
    """Return the mean gain with its interval; None where few rows have most of the weight."""
    if np.ptp(weight) == 0:
        return fixed_b(ours, theirs, level=LEVEL)
    if effective_sample_size(weight) < FEWEST:
        return None
    # A ratio of two means varies as its numerator less the ratio times its denominator.
    gap = ours - theirs
    mean = np.average(gap, weights=weight)
    return fixed_b(mean + weight / weight.mean() * (gap - mean), np.zeros(len(gap)), level=LEVEL)


def _losses(triangle: Triangle, live: Vintage, other: Vintage, since: int) -> tuple[Floats, Floats, Floats]:
    """
    Return the losses of two vintages on the labelled rows since a cutoff, in order of time, and the rows' weights.

    Of a set there is one a period.
    """
    grid = triangle.survey.grid
    if triangle.survey.loss.per == "set":
        (ours, weight), (theirs, _) = (triangle.totals(one, grid.periods) for one in (live, other))
        seen = (np.arange(grid.periods) >= since) & (weight > 0)
        return ours[seen] / weight[seen], theirs[seen] / weight[seen], np.ones(int(seen.sum()))
    rows = np.sort(grid.cell_rows[grid.period_of_cell_row >= since])
    rows = rows[~triangle.unscored[rows]]
    return triangle.row_losses(live, rows), triangle.row_losses(other, rows), grid.weight[rows]
