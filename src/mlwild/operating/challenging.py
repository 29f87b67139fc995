"""A challenge is begun with a plan, shown, and ended."""

from __future__ import annotations

import getpass
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.comparisons.challenged import FEWEST, Plan, planned
from mlwild.compute import Jobs
from mlwild.errors import AppError, DataError
from mlwild.ledger import Fact
from mlwild.operating.desk import Desk
from mlwild.operating.going_back import at_desk
from mlwild.operating.lived import Lived
from mlwild.operating.opening import code_of
from mlwild.operating.shadowing import (
    challenger_app,
    paired,
    plan_of,
    rival_of,
    rival_vintage,
    shadowed_since,
    trial_of,
)
from mlwild.operating.status import keep_status
from mlwild.rehearsal import STORE
from mlwild.triangle import Triangle

Floats = NDArray[np.float64]

#: Rows of the past that a plan is made from, where there are so many; periods within which a change must pay.
PAST, PAYS = 5_000, 13


@dataclass(frozen=True)
class Challenge:
    """
    A challenger beside the champion.

    Parameters
    ----------
    app, name : str
        Champion's app; challenger.
    since : str
        Cutoff from which on rows count.
    plan : Plan
    periods : float or None
        Periods that the plan takes at the usual number of labelled rows a period; None for never.
    standing : dict
        What the last tick said; empty before the first.
    why_least : str
        Where the smallest gain that is worth a change comes from.
    running : bool
    """

    app: str
    name: str
    since: str
    plan: Plan
    periods: float | None
    standing: dict[str, Any]
    why_least: str
    running: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def challenge(
    app: App,
    challenger: str | Path,
    *,
    least: float | None = None,
    level: float = 0.95,
    store: str | Path = STORE,
    jobs: Jobs = None,
) -> Challenge:
    """
    Let a challenger run in shadow: from now on every tick scores it on the champion's rows, until it is settled.

    The challenger learns whenever the champion does, at the same cutoff, so that what is compared is the model and not
    its age. The verdict may be looked at after every tick (`mlwild.comparisons.challenged.standing`). Nothing is put in
    place: that is for `deploy`.

    Parameters
    ----------
    app : App
        In operation.
    challenger : str or Path
        Name of another of the app's models, or another app file on the same rows.
    least : float, optional
        The smallest gain that is worth a change, in the unit of the loss; default what a change must gain to pay for a
        retrain within 13 periods, or without prices a hundredth of what the champion loses.
    level : float
    store, jobs : optional
        As for `operate`.

    Returns
    -------
    Challenge
        With its planned length.

    Raises
    ------
    AppError
        If the app is not in operation, a challenge runs already, or the two do not compare.
    DataError
        If there are too few labelled rows to plan with, or the challenger cannot be made.

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
    ...     name="line", data=lambda: rows, time="when", label="y", delay=0, loss="squared", every=50, start=50,
    ...     models={"line": train, "zero": lambda X, y: lambda X: np.zeros(len(X))},
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = operate(app, rule=Every(2), begin=250, at=300, store=folder)
    ...     begun = challenge(app, "zero", least=0.2, store=folder)
    ...     done = operate(app, store=folder)
    >>> begun.plan.rows > 50, done.ticks[-1].facts["shadowed"]["n"]
    (True, 50)
    """
    with at_desk(app, store=store, jobs=jobs) as desk:
        life = desk.lived()
        if (now := trial_of(life)) is not None:
            raise AppError(f"challenger: {now.body['name']!r} runs already. End it with mlwild shadow --stop.")
        if app.propensity is not None:
            raise AppError("challenger: rows are weighted by `propensity`; a verdict at any look counts each row once.")
        other = challenger_app(app, challenger)
        cutoff = life.ticked
        name = challenger if isinstance(challenger, str) else challenger.stem
        file = "" if isinstance(challenger, str) else str(_beside(app, challenger))
        body: dict[str, Any] = {"name": name, "file": file, "made_of": code_of(other)}
        body["at"] = desk.clock.show(int(desk.edges[cutoff]))
        triangle = desk.triangle(cutoff)
        rival = rival_of(desk, triangle, cutoff, body)
        ours, theirs = _past(life, triangle, rival)
        a_period = _a_period(triangle)
        said = "as asked"
        if least is None:
            least, said = _least(app, float(np.mean(ours)), a_period)
        plan = planned(theirs, ours, least=least, level=level)
        body |= {"plan": asdict(plan), "why_least": said, "a_period": a_period, "by": _user()}
        desk.ledger.append(Fact("challenged", cutoff, body))
        keep_status(desk.ledger, desk.store.root)
        return _shown(desk)


def challenge_of(app: App, *, store: str | Path = STORE, jobs: Jobs = None) -> Challenge:
    """Return the challenge that runs, and what the last tick said of it."""
    with at_desk(app, store=store, jobs=jobs, dry=True) as desk:
        return _shown(desk)


def end_challenge(app: App, *, why: str = "", store: str | Path = STORE, jobs: Jobs = None) -> Challenge:
    """End the challenge that runs; what it came to stays in the ledger."""
    with at_desk(app, store=store, jobs=jobs) as desk:
        shown = _shown(desk)
        body = {"name": shown.name, "why": why or "ended by hand", "by": _user()}
        desk.ledger.append(Fact("unchallenged", desk.lived().ticked, body))
        keep_status(desk.ledger, desk.store.root)
    return Challenge(**{**vars(shown), "running": False})


def _shown(desk: Desk) -> Challenge:
    life = desk.lived()
    begun = trial_of(life)
    if begun is None:
        raise AppError(f"challenger: none runs beside {desk.app.name!r}. Begin with mlwild shadow APP.py CHALLENGER.")
    said = shadowed_since(life, begun)
    plan = plan_of(begun.body)
    usual = float(begun.body["a_period"])
    return Challenge(
        app=desk.app.name,
        name=str(begun.body["name"]),
        since=str(begun.body["at"]),
        plan=plan,
        periods=None if plan.rows is None or not usual else plan.rows / usual,
        standing=dict(said[-1].body) if said else {},
        why_least=str(begun.body["why_least"]),
        running=not said or not said[-1].body["over"],
    )


def _past(life: Lived, triangle: Triangle, rival: Triangle) -> tuple[Floats, Floats]:
    """Return losses of both on rows of the past: of the newest champion with rows enough after it, and its rival."""
    periods = triangle.survey.grid.periods
    best: tuple[Floats, Floats] | None = None
    for vintage in dict.fromkeys(reversed((*life.before[1], *life.path))):
        other = rival_vintage(vintage, rival)
        if vintage.cutoff >= periods or not rival.ensure(other):
            continue
        span = (vintage.cutoff, vintage.cutoff, periods)
        n = periods - vintage.cutoff
        ours, theirs, _ = paired(triangle, rival, [vintage] * n, [other] * n, span)
        if best is None or len(ours) > len(best[0]):
            best = ours[-PAST:], theirs[-PAST:]
        if len(ours) >= PAST or (triangle.survey.loss.per == "set" and len(ours) >= FEWEST):
            break
    if best is None:
        failed = next(iter(rival.failed.values()), None)
        why = f": {failed.why}" if failed is not None else ""
        raise DataError(f"challenger: {rival.model!r} could not be made at any cutoff of the champion{why}.")
    return best


def _a_period(triangle: Triangle) -> float:
    """Return how many labelled rows a period usually has; 1 where the loss is one of a set."""
    grid = triangle.survey.grid
    if triangle.survey.loss.per == "set":
        return 1.0
    rows = np.bincount(grid.period_of_cell_row, minlength=grid.periods)
    return float(np.median(rows[rows > 0])) if rows.any() else 0.0


def _least(app: App, lost: float, a_period: float) -> tuple[float, str]:
    prices = app.prices
    if prices is not None and prices.retrain > 0 and a_period:
        return prices.retrain / (prices.loss * a_period * PAYS), f"pays for a retrain within {PAYS} periods"
    return 0.01 * abs(lost), "a hundredth of what the champion loses"


def _beside(app: App, file: Path) -> Path:
    """Return a challenger's file as the app's folder knows it, so that the project may be moved."""
    try:
        return file.resolve().relative_to(app.root.resolve())
    except ValueError:
        return file.resolve()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may know no user
        return ""
