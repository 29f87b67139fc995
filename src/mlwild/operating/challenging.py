"""A challenge is begun with a plan, shown, given a share of the requests, and ended."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from mlwild.app import App
from mlwild.comparisons.challenged import Plan, planned
from mlwild.compute import Jobs
from mlwild.errors import AppError, BlockedError, DataError
from mlwild.ledger import Fact
from mlwild.operating.beside import (
    beside,
    checked_share,
    percent,
    settled,
    shadowed_since,
    share_of,
    told_of,
    trial_of,
    trouble,
)
from mlwild.operating.desk import Desk, Gate
from mlwild.operating.going_back import at_desk
from mlwild.operating.life_sheet import keep_card
from mlwild.operating.opening import code_of
from mlwild.operating.planning import least_gain, losses_before, usual_rows
from mlwild.operating.publishing import publish_again
from mlwild.operating.shadowing import (
    artefact,
    challenger_app,
    is_published,
    plan_of,
    refused,
    rival_of,
    rival_vintage,
    rivals_desk,
)
from mlwild.operating.status import keep_status
from mlwild.operating.unfilled import unfilled
from mlwild.rehearsal import STORE
from mlwild.triangle import Triangle


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
    share : float
        Of the requests that it answers; 0 in shadow.
    alarm : str
        Why it answers none though it should; empty where it does.
    """

    app: str
    name: str
    since: str
    plan: Plan
    periods: float | None
    standing: dict[str, Any]
    why_least: str
    running: bool
    share: float = 0.0
    alarm: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def challenge(
    app: App,
    challenger: str | Path,
    *,
    least: float | None = None,
    level: float = 0.95,
    share: float = 0.0,
    gate: Gate | None = None,
    today: date | None = None,
    store: str | Path = STORE,
    jobs: Jobs = None,
) -> Challenge:
    """
    Let a challenger run beside the champion: from now on every tick scores it on the same rows, until it is settled.

    The challenger learns whenever the champion does, at the same cutoff, so that what is compared is the model and not
    its age. The verdict may be looked at after every tick (`mlwild.comparisons.challenged.standing`). Nothing is put in
    place: that is for `deploy`.

    It runs in shadow: it answers nobody. With a share it is a canary: a server lets it answer that share of the
    requests, from now on, as ``live.json`` says. The gate judges it first, and whatever it learns later.

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
    share : float
        Of the requests that it answers, at most 0.5.
    gate, today, store, jobs : optional
        As for `operate`. The gate is asked where there is a share.

    Returns
    -------
    Challenge
        With its planned length.

    Raises
    ------
    AppError
        If the app is not in operation, a challenge runs already, the two do not compare, or the share cannot be.
    DataError
        If there are too few labelled rows to plan with, the challenger cannot be made, or the gate blocks a canary.

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
    share = checked_share(share)
    with at_desk(app, store=store, jobs=jobs) as desk:
        life = desk.lived()
        if (now := trial_of(life)) is not None:
            raise AppError(
                f"challenger: {now.body['name']!r} runs already. End it with mlwild shadow --stop, or "
                "change its share with mlwild shadow --share."
            )
        if app.propensity is not None:
            raise AppError("challenger: rows are weighted by `propensity`; a verdict at any look counts each row once.")
        other = challenger_app(app, challenger)
        cutoff = life.ticked
        name = challenger if isinstance(challenger, str) else challenger.stem
        file = "" if isinstance(challenger, str) else str(_beside(app, challenger))
        body: dict[str, Any] = {"name": name, "file": file, "made_of": code_of(other)}
        body["at"] = desk.clock.show(int(desk.edges[cutoff]))
        triangle = desk.triangle(cutoff)
        there = rivals_desk(desk, body)
        rival = rival_of(desk, triangle, cutoff, body, there=there)
        ours, theirs = losses_before(life, triangle, rival)
        a_period = usual_rows(triangle)
        said = "as asked"
        if least is None:
            least, said = least_gain(app, float(np.mean(ours)), a_period)
        plan = planned(theirs, ours, least=least, level=level, unit=app.loss_.counted)
        body |= {"plan": asdict(plan), "why_least": said, "a_period": a_period, "by": _user()}
        if share:
            body |= _answering(replace(desk, gate=gate, today=today), (rival, there), body, (), share)
        else:
            body |= artefact(desk, rival, rival_vintage(life.path[-1], rival), ())[0]
        return _noted(desk, Fact("challenged", cutoff, body))


def change_share(
    app: App,
    share: float,
    *,
    gate: Gate | None = None,
    today: date | None = None,
    store: str | Path = STORE,
    jobs: Jobs = None,
) -> Challenge:
    """
    Change the share of the requests that the challenger answers which runs; with 0 it goes on in shadow.

    A request that it answers at a share it answers at every greater one: a server draws by the event and by when the
    challenge began.

    Parameters
    ----------
    app : App
        In operation, with a challenger.
    share : float
        At most 0.5.
    gate, today, store, jobs : optional
        As for `operate`. What has answered before is not judged again.

    Returns
    -------
    Challenge

    Raises
    ------
    AppError
        If no challenge runs, it is settled, or the share cannot be.
    DataError
        If the challenger cannot be made, or the gate blocks it.

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
    ...     begun = challenge(app, "zero", share=0.05, store=folder)
    ...     raised = change_share(app, 0.2, store=folder)
    >>> begun.share, raised.share
    (0.05, 0.2)
    """
    share = checked_share(share)
    with at_desk(app, store=store, jobs=jobs) as desk:
        life, cutoff = desk.lived(), desk.lived().ticked
        begun, was = _running(desk), share_of(life)
        name = str(begun.body["name"])
        if settled(life, begun):
            raise AppError(
                f"share: {name!r} is settled, and no tick scores it any more. Put it in place with mlwild deploy, or "
                "end the challenge with mlwild shadow --stop."
            )
        now = beside(life)
        if share == was and (not share or (now is not None and now.share == share)):
            publish_again(desk)  # who asked for it before may have died before a server was told
            return _shown(desk)
        body: dict[str, Any] = {"name": name, "share": share, "was": was, "by": _user()}
        if share:
            told = told_of(life, begun)
            there = rivals_desk(desk, begun.body)
            rival = rival_of(desk, desk.triangle(cutoff), cutoff, begun.body, told, there=there)
            body |= _answering(replace(desk, gate=gate, today=today), (rival, there), begun.body, told, share)
        return _noted(desk, Fact("shared", cutoff, body))


def _answering(
    desk: Desk, other: tuple[Triangle, Desk], body: Mapping[str, Any], told: Sequence[Fact], share: float
) -> dict[str, Any]:
    """Return the artefact that is to answer a share from now on, if it is there and the gate lets it."""
    (rival, there), name, life = other, str(body["name"]), desk.lived()
    if is_published(rival):
        raise AppError(
            f"share: {name!r} is a published forecast: there is no model that a server could answer with. Leave out "
            "the share, and it runs in shadow."
        )
    if body["file"] and (column := unfilled(desk, there, rival)):
        raise AppError(
            f"share: {name!r} reads a column {column!r} that the champion's data do not have, or hold otherwise, and "
            "requests give the champion's columns. Have it do without, or leave out the share: it runs in shadow then."
        )
    made, why = artefact(desk, rival, rival_vintage(life.path[-1], rival), told)
    if why:
        raise DataError(f"share: {name!r} cannot answer requests: {why}. Nothing was changed.")
    if why := refused(desk, life.ticked, body, str(made["key"]), told):
        raise BlockedError(
            f"share: {name!r} may not answer {percent(share)} of the requests: {why}. Nothing was changed; without a "
            "share it may run in shadow."
        )
    return made | {"share": share}


def _noted(desk: Desk, fact: Fact) -> Challenge:
    """Write down what a person did, and point a server at what answers now."""
    desk.ledger.append(fact)
    publish_again(desk)
    keep_status(desk.ledger, desk.store.root)
    keep_card(desk.ledger, desk.store.root)
    return _shown(desk)


def challenge_of(app: App, *, store: str | Path = STORE, jobs: Jobs = None) -> Challenge:
    """Return the challenge that runs, and what the last tick said of it."""
    with at_desk(app, store=store, jobs=jobs, dry=True) as desk:
        return _shown(desk)


def end_challenge(app: App, *, why: str = "", store: str | Path = STORE, jobs: Jobs = None) -> Challenge:
    """End the challenge that runs; what it came to stays in the ledger."""
    with at_desk(app, store=store, jobs=jobs) as desk:
        publish_again(desk)  # who ended it before may have died before a server was told
        shown = _shown(desk)
        body = {"name": shown.name, "why": why or "ended by hand", "by": _user()}
        desk.ledger.append(Fact("unchallenged", desk.lived().ticked, body))
        publish_again(desk)
        keep_status(desk.ledger, desk.store.root)
        keep_card(desk.ledger, desk.store.root)
    return replace(shown, running=False, share=0.0)


def _running(desk: Desk) -> Fact:
    begun = trial_of(desk.lived())
    if begun is None:
        raise AppError(f"challenger: none runs beside {desk.app.name!r}. Begin with mlwild shadow APP.py CHALLENGER.")
    return begun


def _shown(desk: Desk) -> Challenge:
    life, begun = desk.lived(), _running(desk)
    now, said = beside(life), shadowed_since(life, begun)
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
        running=not settled(life, begun),
        share=0.0 if now is None else now.share,
        alarm=trouble(life),
    )


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
