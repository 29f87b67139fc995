"""Rehearse: replay an app's life over its own history, under every rule."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlwild import monitors as monitors_
from mlwild import rules as rules_
from mlwild import splits as splits_
from mlwild.app import App
from mlwild.auditions import audit_monitors, audit_splits, covered, declared_losses, latest_shift, level_of
from mlwild.compute import Jobs
from mlwild.declared import check_windows
from mlwild.digest import digest, fingerprint, version
from mlwild.disk import write_atomically
from mlwild.errors import AppError, DataError
from mlwild.events import Events
from mlwild.guarding import check_draws
from mlwild.lives import Life, choose_as_you_go, first_vintage, fold, led
from mlwild.models import Forecast
from mlwild.monitors.signal import kind_of, objection
from mlwild.records import Vintage
from mlwild.rules import Rule
from mlwild.sheet import make_sheet
from mlwild.side_tables import SideTable
from mlwild.triangle import Survey, Triangle, build, update_chain
from mlwild.triangle.store import STORE, Store, folder_of
from mlwild.triangle.survey import lay_survey, read_events

Progress = Callable[[int, int, int], None]
Splits = str | Sequence[splits_.Read | splits_.OfFolds]


@dataclass(frozen=True)
class Rehearsal:
    """
    The result of replaying an app's history.

    Attributes
    ----------
    sheet : dict
        The answer sheet as plain data; what ``--json`` writes.
    lives : dict of str to tuple of Life
        By rule, one a seed: every decision with its reason.
    chosen : tuple of Life
        By seed: the life of one who chooses among the rules at each cutoff, from the past alone.
    triangles : tuple of Triangle
        Predictions and losses of every vintage, to be read without refitting.
    survey : Survey
        The rows, periods and labels.
    start : Vintage
        The first vintage of every life.
    store : Store
        What keeps the fits.
    events : Events or None
        The app's own rows, where they were to be kept.
    tables : dict of str to SideTable
        The same of side tables.
    """

    sheet: dict[str, Any]
    lives: dict[str, tuple[Life, ...]]
    chosen: tuple[Life, ...]
    triangles: tuple[Triangle, ...]
    survey: Survey
    start: Vintage
    store: Store
    events: Events | None = None
    tables: dict[str, SideTable] = field(default_factory=dict)

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The table of rules, cheapest first."""
        return list(self.sheet["rules"])

    @property
    def splits(self) -> list[dict[str, Any]]:
        """The audition of split schemes: what each promised against what came, best estimate first."""
        return list(self.sheet["splits"])

    @property
    def monitors(self) -> list[dict[str, Any]]:
        """The audition of monitors: what each saw coming against what the labels revealed, best first."""
        return list(self.sheet["monitors"])

    @property
    def models(self) -> list[dict[str, Any]]:
        """The table of models."""
        return list(self.sheet["models"])

    @property
    def recommended(self) -> dict[str, Any]:
        """The rule to run, its cost with an interval, and the reason."""
        return dict(self.sheet["recommended"])

    def losses(self) -> Any:
        """
        Return the loss of every vintage in every later period, as an Arrow table.

        Returns
        -------
        pyarrow.Table
            Columns model, window, seed, vintage, cutoff, period, loss (mean of an event) and n.
        """
        import pyarrow as pa

        columns: dict[str, list[Any]] = {
            name: [] for name in ("model", "window", "seed", "vintage", "cutoff", "period", "loss", "n")
        }
        for triangle in self.triangles:
            vintages = sorted(triangle.scores)
            total, weight = triangle.matrix(vintages)
            for row, vintage in enumerate(vintages):
                for k in range(vintage.cutoff, triangle.survey.grid.periods):
                    known = weight[row, k] > 0
                    values = (triangle.model, vintage.window, triangle.seed, str(vintage), vintage.cutoff, k)
                    measured = (total[row, k] / weight[row, k] if known else None, weight[row, k])
                    for name, value in zip(columns, (*values, *measured), strict=True):
                        columns[name].append(value)
        return pa.table(columns)

    def card(self, path: str | Path) -> Path:
        """
        Write the card: one self-contained HTML file, the same for identical rehearsals.

        What the gate and the stress of the same data said last is on it too.
        """
        from mlwild.card import write_card

        return write_card(self.sheet | _asked(self.store, self.sheet), Path(path))


def rehearse(
    app: App,
    *,
    rules: Sequence[Rule] | None = None,
    splits: Splits = "free",
    store: str | Path = STORE,
    jobs: Jobs = None,
    progress: Progress | None = None,
    keep_rows: bool = False,
) -> Rehearsal:
    """
    Fit the triangle of vintages (once) and price every retraining rule on it.

    Parameters
    ----------
    app : App
    rules : sequence of Rule, optional
        Default the app's own, or `mlwild.rules.standard`.
    splits : {"free", "all"} or sequence of split schemes
        Estimates of the next period's loss that are auditioned. ``"free"`` ones read the triangle and
        fit nothing; ``"all"`` adds cross-validation at a few cutoffs, and with it the leak meter.
    store : str or Path
        Folder that keeps what was fitted, relative to the app's root.
    jobs : int, optional
        Worker processes; default one a processor.
    progress : callable, optional
        Called with the numbers of vintages ready, in all, and fitted.
    keep_rows : bool
        Whether the app's own rows are kept in memory, for what is to come.

    Returns
    -------
    Rehearsal

    Raises
    ------
    AppError, DataError
        If a field or the data are wrong: with the column, the row and the value.
    BusyError
        If the same app is being rehearsed by another process.
    StoreError
        If the store cannot be written.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from mlwild import App, Prices
    >>> rng = np.random.default_rng(0)
    >>> def events():
    ...     x = rng.normal(size=400)
    ...     return pd.DataFrame({"when": np.arange(400), "x": x, "y": x + rng.normal(size=400)})
    >>> def train(X, y):
    ...     slope = float((X["x"] * y).sum() / (X["x"] ** 2).sum())
    ...     return lambda X: slope * X["x"].to_numpy()
    >>> app = App(
    ...     name="line", data=events, time="when", label="y", delay=0, models={"line": train},
    ...     loss="squared", every=50, start=50, prices=Prices(loss=1.0, retrain=5.0),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rehearsal = rehearse(app, store=folder)
    >>> rehearsal.recommended["rule"], rehearsal.sheet["fits"]
    ('break-even', {'made': 7, 'reused': 0})
    """
    began = time.perf_counter()
    keep = Store(folder_of(app, store))
    with ExitStack() as stack:
        check_windows(app, rules or ())
        # Read and check before anything is written: bad input leaves no trace.
        events, tables = read_events(app)
        read = lay_survey(app, events, tables)
        check_draws(read)
        if not keep_rows:
            del events, tables
        stack.enter_context(keep.lock(app.name))
        triangles = build(read, keep, jobs=jobs, progress=progress)
        ours = [triangle for triangle in triangles if triangle.model == app.live]
        start = _start(ours)
        if app.update is not None and not isinstance(app.models[app.live], Forecast):
            for triangle in ours:
                for vintage in update_chain(triangle, start):
                    triangle.ensure(vintage)
        contest = tuple(rules or app.rules or _distinct(contest_of(app, ours[0], start)))
        names = [rule.name for rule in contest]
        if len(set(names)) < len(names):
            raise AppError(f"rules: {max(names, key=names.count)!r} is named twice.")
        by_seed = [[fold(rule, triangle, start) for rule in contest] for triangle in ours]
        chosen = [
            choose_as_you_go(contest, lives, triangle, start) for lives, triangle in zip(by_seed, ours, strict=True)
        ]
        lives = [[of_seed[place] for of_seed in by_seed] for place in range(len(contest))]
        tally = triangles[0].tally
        audition = audit_splits(triangles, _schemes(splits, read), jobs=jobs, progress=progress)
        sheet = make_sheet(read, triangles, contest, lives, chosen, tally, start)
        sheet |= audition
        sheet |= _monitored(ours, start, keep)
        sheet["made_of"] = made_of_app(app)
        sheet["latest_shift"] = {} if _published(app) else latest_shift(read)
        named = {rule.name: tuple(of_rule) for rule, of_rule in zip(contest, lives, strict=True)}
        life = led(sheet["recommended"]["rule"], named)
        sheet["fallback"] = declared_losses(triangles, life.live, life.first)
        inside = None if _published(app) else covered(triangles[0], life.live, life.first, level=level_of(app))
        sheet |= {"intervals": inside, "seconds": round(time.perf_counter() - began, 3)}
        made = Rehearsal(sheet, named, tuple(chosen), tuple(triangles), read, start, keep)
        if keep_rows:
            made = replace(made, events=events, tables=tables)
        _keep(made, keep, app.name)
    return made


def last_sheet(app: App, *, store: str | Path = STORE) -> dict[str, Any]:
    """
    Return the answer sheet of an app's last rehearsal.

    Raises
    ------
    AppError
        If the app was not rehearsed with this store.
    """
    return sheet_in(folder_of(app, store), app.name)


def sheet_in(folder: Path, name: str) -> dict[str, Any]:
    """
    Return the answer sheet of an app's last rehearsal in a store, with what the gate and the stress said of it.

    Raises
    ------
    AppError
        If the app was not rehearsed with this store.
    """
    path = folder / "sheets" / f"{name}.json"
    if not path.exists():
        raise AppError(f"store: {name!r} has no rehearsal in {folder}. Run mlwild rehearse first.")
    sheet = dict(json.loads(path.read_text(encoding="utf-8")))
    return sheet | _asked(Store(folder), sheet)


def made_of_app(app: App, contract: str | Path | None = None) -> str:
    """
    Return a digest of what a verdict on an app rests on beside its rows: models, features, loss, groups, side tables.

    Parameters
    ----------
    app : App
    contract : str or Path, optional
        Where its contract lies: none of that, as an app is moved with it; older versions counted it.

    Returns
    -------
    str
    """
    parts = (dict(app.models), app.features, app.loss_, app.serving)
    declared = (app.label, tuple(app.groups), tuple(app.tables), tuple(app.outcomes), str(app.every_), contract)
    return digest("app 1", [fingerprint(part) for part in parts], declared)


def _asked(store: Store, sheet: dict[str, Any]) -> dict[str, Any]:
    """Return what the gate said last and the worst case, where they were asked for on the same data."""
    made = {}
    for key, folder in (("gate", "gates"), ("worst_case", "stress")):
        path = store.root / folder / f"{sheet['app']}.json"
        if path.exists():
            report = json.loads(path.read_text(encoding="utf-8"))
            same = report.get("data") == sheet["data"]["digest"] and report.get("made_of") == sheet.get("made_of")
            if same:
                made[key] = report
    return made


def _distinct(rules: Sequence[Rule]) -> list[Rule]:
    """Return rules without those that say the same: where nothing was ever lost, all limits are 0."""
    return list({rule.name: rule for rule in reversed(rules)}.values())[::-1]


def _monitored(triangles: Sequence[Triangle], start: Vintage, store: Store) -> dict[str, Any]:
    """Return the audition of monitors; the same monitors on the same triangle are auditioned once."""
    read = triangles[0].survey
    monitors = read.app.monitors if read.app.monitors is not None else monitors_.standard(read.loss)
    first = triangles[0]
    vintages = [vintage for vintage in sorted(first.scores) if not vintage.updates]
    made_of = [first.recipe.fit_key(vintage) for vintage in vintages if not _published(read.app)]
    key = digest("monitors 2", version("mlwild"), read.data_digest, made_of, fingerprint(list(monitors)), start)
    kept = store.payload(key, "audition")
    if store.get(key, "audition") is None:
        text = json.dumps(audit_monitors(triangles, monitors, start=start), allow_nan=False).encode()
        store.put(key, "audition", lambda file: file.write(text))
    return dict(json.loads(kept.read_bytes()))


def _published(app: App) -> bool:
    """Say whether all models are published forecasts: then there are no features to look at."""
    return all(isinstance(model, Forecast) for model in app.models.values())


def _schemes(splits: Splits, read: Survey) -> Sequence[splits_.Read | splits_.OfFolds]:
    if not isinstance(splits, str):
        names = [scheme.name for scheme in splits]
        if not names:
            raise AppError("splits: name at least one scheme, or say 'free' or 'all'.")
        if len(set(names)) < len(names):
            raise AppError(f"splits: {max(names, key=names.count)!r} is named twice.")
        return splits
    if splits not in ("free", "all"):
        raise AppError(f"splits: {splits!r} is not 'free', 'all' or a list of schemes.")
    return splits_.standard(fits=splits == "all", delay=read.grid.usual_delay)


def _start(triangles: Sequence[Triangle]) -> Vintage:
    """Return the first vintage that is usable for every seed."""
    firsts = [first_vintage(triangle) for triangle in triangles]
    if None in firsts:
        failed = next(iter(triangles[firsts.index(None)].failed.values()), None)
        why = f" The first: {failed.why}." if failed else ""
        raise DataError(
            f"models[{triangles[0].model!r}]: no vintage could be made at any cutoff.{why} Mend the model, or "
            "give it more history with `start`."
        )
    return max(first for first in firsts if first is not None)


def contest_of(app: App, triangle: Triangle, start: Vintage) -> tuple[Rule, ...]:
    """Return the standard rules for an app; limits are shares of what its first vintage lost."""
    total, _ = triangle.matrix([start])
    scale = float(np.abs(total[0, start.cutoff :]).mean())
    updates = app.update is not None
    windows = tuple(str(window) for window in app.windows)
    # The user's own choice of monitors competes as rules too; shift alone is no reason to retrain.
    watched = [
        one
        for one in app.monitors or ()
        if kind_of(one) in ("performance", "labels", "own") and not objection(one, triangle.survey.loss)
    ]
    priced = app.prices is not None
    made = rules_.standard(windows, priced=priced, updates=updates, scale=scale, monitors=watched)
    if triangle.survey.loss.per == "set":  # a detector watches losses of rows
        made = tuple(rule for rule in made if not isinstance(rule, rules_.OnDetector | rules_.OnEDetector))
    return made


def _keep(made: Rehearsal, store: Store, name: str) -> None:
    """Leave the sheet for the card, and the losses for whoever wants to query them."""
    import pyarrow.parquet

    table = made.losses()
    write_atomically(store.root / "losses" / f"{name}.parquet", lambda file: pyarrow.parquet.write_table(table, file))
    text = json.dumps(made.sheet, allow_nan=False).encode()
    write_atomically(store.root / "sheets" / f"{name}.json", lambda file: file.write(text))


__all__ = [
    "STORE",
    "Progress",
    "Rehearsal",
    "contest_of",
    "folder_of",
    "last_sheet",
    "made_of_app",
    "rehearse",
    "sheet_in",
]
