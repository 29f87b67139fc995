"""From an app file and what is live to a service: the model by its digest, or not at all."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.clock import NEVER, now_seconds
from mlwild.digest import bytes_digest
from mlwild.errors import AppError, StoreError
from mlwild.events import Events, SideTable
from mlwild.ledger import Ledger
from mlwild.loading import load_app
from mlwild.models import Forecast
from mlwild.operating.desk import pinned
from mlwild.operating.lived import lived, vintage_of
from mlwild.operating.opening import code_of
from mlwild.operating.status import LEDGER
from mlwild.rehearsal import folder_of
from mlwild.serve.columns import Columns, Shape, learned
from mlwild.serve.features import Maker
from mlwild.serve.live import CHAMPION, Live, checked, read_live
from mlwild.serve.service import AppService
from mlwild.triangle.fitting import training_rows
from mlwild.triangle.recipe import Recipe
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Survey, Tables, cutoffs_of, lay_survey, read_events


@dataclass(frozen=True)
class Loaded:
    """
    A service, and what the front process must know of it.

    Parameters
    ----------
    service : AppService
    columns : Columns
        What a request is made of.
    live : Live
    folder : Path
        Of the app in operation.
    clock : {"instant", "naive", "tick"}
        What the time column holds.
    """

    service: AppService
    columns: Columns
    live: Live
    folder: Path
    clock: str

    def told(self) -> dict[str, Any]:
        """Return what the front process is told, as plain values."""
        service, classes = self.service, self.service.classes
        return {
            "app": service.app.name,
            "folder": str(self.folder.absolute()),
            "live": dict(self.live.body),
            "vintage": service.vintage,
            "columns": self.columns.as_dict(),
            "ask": service.ask,
            "classes": None if classes is None else classes.tolist(),
            "constant": service.constant.tolist(),
            "newest": service.newest if isfinite(service.newest) else None,
            "clock": self.clock,
        }


def load(file: str | Path, store: str | Path, *, arm: str = CHAMPION, said: Any = None) -> Loaded:
    """
    Read an app, its data and the model that is to answer.

    Parameters
    ----------
    file : str or Path
        The app file.
    store : str or Path
    arm : {"champion", "canary", "shadow"}
    said : optional
        What is live; default what the file in the store says now.

    Raises
    ------
    AppError
        If the app is not in operation, or not the one that was put there.
    StoreError
        If the model is gone, or is not the one that went live.
    """
    app = pinned(load_app(file))
    folder = folder_of(app, store) / "operate" / app.name
    live = read_live(folder) if said is None else checked(said, folder)
    life = lived(Ledger(folder / LEDGER))
    if life is None or life.opened.body["made_of"] != code_of(app):
        raise AppError(
            f"app: {app.name!r} is not what it was when it was put into operation. What is live was made by that code. "
            "Restore it, or put the new one in place with mlwild deploy."
        )
    told = live.of(arm)
    if told.get("file"):
        app = pinned(load_app(app.root / str(told["file"])))
    name = str(told.get("model", app.live))
    if name in app.models and name != app.live:
        app = replace(app, models={name: app.models[name]} | dict(app.models))
    events, tables = read_events(app)
    read = lay_survey(app, events, tables, cutoffs_of(app, events, life.since))
    model = app.models[app.live] if "key" not in told else _model(folder, str(told["key"]), str(told["digest"]))
    schema = events.frame.to_arrow()
    late = [one for one in (app.label, app.known_at, *app.outcomes, app.propensity) if one]
    if isinstance(model, Forecast):
        late = [one for one in late if one != model.column]
    maker = Maker(
        app=app,
        data=Shape.of(schema),
        learned=Shape.of(read.features),
        data_kind=str(events.frame.implementation),
        kind=read.kind,
        tables=Tables({key: _known(table) for key, table in tables.items()}),
    )
    service = AppService(
        app=app,
        model=model,
        vintage=live.vintage(arm),
        maker=maker,
        ask=read.ask,
        classes=read.classes,
        constant=_constant(read, live),
        newest=_newest(events),
    )
    columns = learned(schema.schema, hidden=list(dict.fromkeys(late)), time=app.time, key=app.key)
    return Loaded(service, columns, live, folder, events.clock.kind)


def _model(folder: Path, key: str, digest: str) -> Any:
    """Return an artefact of the store; only if it is the one that went live."""
    path = Store(folder).payload(key, "model")
    try:
        held = path.read_bytes()
    except OSError as problem:
        raise StoreError(
            f"store: the model that is live (key {key[:8]}) is gone from {folder}. Restore it, or go back to an "
            "earlier one with mlwild rollback."
        ) from problem
    if bytes_digest(held) != digest:
        raise StoreError(
            f"store: the model that is live (key {key[:8]}) has another digest: it was changed or damaged, and is not "
            f"loaded. Restore it in {folder}, or go back to an earlier one with mlwild rollback."
        )
    try:
        return pickle.loads(held)
    except Exception as problem:  # whatever a class that is gone, or another version of a package, raises
        said = " ".join(str(problem).split())[:200]
        raise StoreError(
            f"store: the model that is live (key {key[:8]}) agrees with its digest and cannot be loaded here "
            f"({type(problem).__name__}: {said}). Restore the code or the packages that made it."
        ) from problem


def _known(table: SideTable) -> SideTable:
    """Return what is known of a side table by now; all of it where no clock says which time it is."""
    return table if table.clock.kind == "tick" else table.before(table.clock.now())


def _newest(events: Events) -> float:
    if events.clock.kind == "tick":
        return float("nan")
    now = events.clock.now()
    seen = events.known_at[(events.known_at != NEVER) & (events.known_at <= now)]
    if not len(seen):
        return float("nan")
    return now_seconds() - (now - int(seen.max())) / 1e9


def _constant(read: Survey, live: Live) -> NDArray[np.float64]:
    """Return the mean label, the class shares or the commonest class of the rows that the live vintage learned from."""
    vintage = vintage_of(live.body["vintage"])
    edges = read.grid.edges
    cutoff = int(edges[min(vintage.cutoff, len(edges) - 1)])
    opens = np.iinfo(np.int64).min
    if not vintage.updates and vintage.fitted < len(edges):
        opens = Recipe(read, read.app.live, read.app.seeds[0]).opens(vintage)
    labels = np.asarray(read.labels[training_rows(read.time, read.known_at, opens, cutoff)])
    if read.classes is None:
        return np.asarray(labels.mean() if len(labels) else 0.0, dtype=np.float64)
    counts = np.bincount(labels[labels >= 0], minlength=len(read.classes)).astype(np.float64)
    shares = counts / counts.sum() if counts.sum() else np.full(len(counts), 1 / len(counts))
    if read.ask == "class":
        return np.asarray(float(shares.argmax()))
    return np.asarray(shares[-1]) if read.ask == "probability" else shares
