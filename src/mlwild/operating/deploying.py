"""Deploying: what would change is planned, and a plan is carried out if it is still what would be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from mlwild.app import App
from mlwild.compute import Jobs
from mlwild.errors import AppError
from mlwild.ledger import Ledger
from mlwild.operating.desk import Gate, Registrar
from mlwild.operating.driver import Operation, operate
from mlwild.operating.lived import Lived, lived
from mlwild.operating.opening import same_code
from mlwild.operating.status import LEDGER
from mlwild.rehearsal import STORE, folder_of
from mlwild.rules import Rule
from mlwild.wording import things

#: What a fact is to a reader.
_PARTS = {
    "opened": "what the life begins with",
    "observed": "what arrived",
    "decided": "the decision",
    "fitted": "the model",
    "scored": "what earlier promises came to",
    "promised": "the promise",
}


def deploy(
    app: App,
    *,
    plan: Mapping[str, Any] | None = None,
    rule: Rule | str | None = None,
    begin: str | int | None = None,
    gate: Gate | None = None,
    registrar: Registrar | None = None,
    dry: bool = False,
    store: str | Path = STORE,
    jobs: Jobs = None,
    today: date | None = None,
    progress: Callable[[str], None] | None = None,
) -> Operation:
    """
    Put an app into production, or the present code of one that is there; every tick that is due is done.

    Where the code is another than the one that runs, a new life is opened: by the rule of the old one, unless another
    is named, and with the gate before it.

    Parameters
    ----------
    app : App
    plan : mapping, optional
        What `deploy` or `operate` said with ``dry=True``, as plain data: it is carried out only if it is still what
        would be done, tick by tick.
    rule, begin, gate, registrar, dry, store, jobs, today, progress : optional
        As for `operate`.

    Returns
    -------
    Operation

    Raises
    ------
    AppError
        If the plan is of another app, or no longer what would be done: with the first tick that differs.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from mlwild import App
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
    ...     plan = deploy(app, rule=Every(1), begin=250, dry=True, store=folder).as_dict()
    ...     done = deploy(app, plan=plan, rule=Every(1), store=folder)
    >>> plan["live"], done.live, done.seal == plan["seal"]
    ('6', '6', True)
    """
    before = _before(app, store)
    reopen = before is not None and not same_code(app, before.opened.body["made_of"])
    if before is not None and not reopen and (rule is not None or begin is not None):
        raise AppError(
            f"rule: {app.name!r} runs already, by the same code. To open a new life of it, use mlwild operate --reopen."
        )
    if reopen and rule is None and before is not None:
        rule = str(before.opened.body["rule"]["name"])
    asked: dict[str, Any] = {
        "store": store,
        "jobs": jobs,
        "gate": gate,
        "registrar": registrar,
        "today": today,
        "progress": progress,
    }
    asked |= {"reopen": reopen, "rule": rule, "begin": begin}
    if plan is None:
        return operate(app, dry=dry, **asked)
    _is_of(plan, app)
    asked |= {"at": plan["until"]}
    if begin is None and plan["reopened"]:
        asked |= {"begin": plan["ticks"][0]["at"] if plan["ticks"] else None}
    again = operate(app, dry=True, **asked)
    if again.seal != plan["seal"]:
        raise AppError(f"plan: {_differs(plan, again)} Nothing was changed. Make a new plan with --dry-run.")
    return again if dry else operate(app, **asked)


def _before(app: App, store: str | Path) -> Lived | None:
    path = folder_of(app, store) / "operate" / app.name / LEDGER
    return lived(Ledger(path)) if path.exists() else None


def _is_of(plan: Mapping[str, Any], app: App) -> None:
    needed = ("app", "seal", "until", "ticks", "reopened", "rule", "made_of", "dry")
    missing = [name for name in needed if name not in plan]
    if missing or not plan["dry"]:
        why = f"it has no {missing[0]!r}" if missing else "it tells of ticks that were done"
        raise AppError(f"plan: this is no plan: {why}. Make one with mlwild operate --dry-run --json plan.json.")
    if plan["app"] != app.name:
        raise AppError(f"plan: it is of {plan['app']!r}, not of {app.name!r}.")


def _differs(plan: Mapping[str, Any], again: Operation) -> str:
    """Say where what would be done now first differs from a plan."""
    for name, said in (("made_of", "the code is"), ("rule", "the rule is")):
        if plan[name] != getattr(again, name):
            return f"it is out of date: {said} another."
    for planned, now in zip(plan["ticks"], again.ticks, strict=False):
        if (planned["cutoff"], planned["facts"]) != (now.cutoff, now.facts):
            kinds = [kind for kind in now.facts if planned["facts"].get(kind) != now.facts[kind]]
            part = _PARTS.get(kinds[0], kinds[0]) if kinds else "the tick"
            return f"it is out of date: at {now.at} {part} would be other, since data have changed."
    due = len(again.ticks)
    are = "is" if due == 1 else "are"
    return f"it is out of date: it has {things(len(plan['ticks']), 'tick')}, and {due} {are} due."
