"""What is live is bundled: its guard is learned from the history, once, and kept under what determines it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild import frames
from mlwild.answering.ages import Limit, learn_limits
from mlwild.answering.apps import app_of
from mlwild.answering.bundle import KIND, Bundle, Part, load_model
from mlwild.answering.formerly import with_past
from mlwild.answering.live import Live, checked, read_live
from mlwild.answering.shapes import Shape
from mlwild.answering.tables import known_now
from mlwild.answering.telling import refusal, to_operator
from mlwild.app import App
from mlwild.clock import NEVER, now_seconds
from mlwild.digest import digest, file_digest, fingerprint
from mlwild.disk import waiting
from mlwild.errors import AppError, DataError, StoreError
from mlwild.events import Events
from mlwild.guarding import Chain, chain_of
from mlwild.ledger import Ledger
from mlwild.loading import load_app
from mlwild.models import Forecast
from mlwild.operating.beside import CHAMPION, told_of, trial_of
from mlwild.operating.desk import Desk, pinned
from mlwild.operating.driver import reached, rule_of
from mlwild.operating.lived import Lived, lived, vintage_of
from mlwild.operating.opening import code_of, same_code
from mlwild.operating.shadowing import rival_of, rival_vintage, rivals_desk
from mlwild.operating.status import LEDGER
from mlwild.operating.unfilled import columns_asked, unfilled
from mlwild.records import Vintage
from mlwild.rehearsal import STORE, folder_of
from mlwild.triangle import Survey, Triangle, growing
from mlwild.triangle.fitting import training_rows
from mlwild.triangle.recipe import Recipe
from mlwild.triangle.store import Store
from mlwild.triangle.survey import Tables, lay_survey, read_events

#: Part of the key: raised when what is bundled changes.
VERSION = "bundle 22"
#: Bundles that are kept however long ago they were used, the latest; others for so many seconds.
LATEST, KEPT = 8, 86_400.0
#: Who bundles holds it.
LOCK = "bundling.lock"


def bundle(
    app: App | str | Path, *, store: str | Path = STORE, arm: str = CHAMPION, said: Mapping[str, Any] | None = None
) -> tuple[Store, str, str]:
    """
    Bundle what is live, if that was not done, and return where it is kept.

    Parameters
    ----------
    app : App, str or Path
        The app file, or an app that was loaded from one.
    store : str or Path
    arm : {"champion", "canary", "shadow"}
    said : mapping, optional
        What is live; default what the file beside the ledger says.

    Returns
    -------
    store : Store
        Of the app in operation.
    key, digest : str
        Of the bundle.

    Raises
    ------
    AppError
        If the app is not in operation, or not the one that was put there.
    DataError, StoreError
        If its data cannot be read, or what is live is gone, was changed, or is no longer live. Other models of its
        fallback chain that are gone are made again.
    """
    if not isinstance(app, App):
        app = load_app(app)
    if app.file is None:
        raise AppError(
            "app: it was not loaded from a file, and what answers reads it from there. Give the path of one."
        )
    root = Store(folder_of(app, store) / "operate" / app.name)
    live = _alone(read_live(root.root) if said is None else checked(dict(said), root.root), arm)
    life = lived(Ledger(root.root / LEDGER))
    if life is None or not same_code(app, life.opened.body["made_of"]):
        raise AppError(
            f"app: {app.name!r} is not what it was when it was put into operation. What is live was made by that code. "
            "Restore it, or put the new one in place with mlwild deploy."
        )
    # A bundle names the app's file: one that was copied or moved with its store is another.
    code = code_of(app), _rivals_code(life, arm)
    key = digest(VERSION, json.dumps(live.body, sort_keys=True), arm, *code, str(app.file), _beside(app))
    found = _whole(root, key)
    if found is None:
        # Two who bundle the same make other bytes: the later would take the file from under the earlier's workers.
        with waiting(root.root / LOCK):
            found = _whole(root, key)
            if found is None:
                made = _made(pinned(app), root, life, live, arm)
                if arm == CHAMPION:  # whoever runs beside it reads what it does, or is left out
                    made = replace(made, columns=with_past(made.columns, root.root))
                before, parts = root.get(key, KIND), [[part.key, part.digest] for part in made.parts]
                if before is None or before["parts"] != parts:
                    root.put(key, KIND, lambda file: file.write(cloudpickle.dumps(made)), parts=parts)
                found = root.get(key, KIND)
                assert found is not None
                _drop_left_over(root)
    root.touch(key, KIND)
    return root, key, str(found["digest"])


def _whole(root: Store, key: str) -> dict[str, Any] | None:
    """Return what is noted of a bundle; None where it, or a model that it names, is gone or damaged."""
    found = root.get(key, KIND)
    models = (
        []
        if found is None
        else [(root.get(part, "model") or {}).get("digest") == mark for part, mark in found["parts"]]
    )
    return found if all(models) else None


def _drop_left_over(root: Store) -> None:
    """Drop bundles of earlier ticks: each holds the side tables. A server touches its own, to start workers by them."""
    used = [(path.stat().st_mtime, path.stem) for path in root.root.glob(f"memo/*/*.{KIND}")]
    for since, key in sorted(used, reverse=True)[LATEST:]:
        if now_seconds() - since > KEPT:
            root.drop(key, KIND)


def _rivals_code(life: Lived, arm: str) -> str:
    """Return what names the code of a challenger: edited, and begun anew, it may have a model of the same bytes."""
    trial = trial_of(life)
    return "" if arm == CHAMPION or trial is None else json.dumps(trial.body["made_of"], sort_keys=True)


def _beside(app: App) -> str:
    """Return a digest of what answers rest on beside what is live: the guard, who falls back, the contract."""
    declared = None if app.contract is None else app.root / app.contract
    terms = "" if declared is None or not declared.exists() else file_digest(declared)
    return digest(fingerprint(app.guard), fingerprint(app.fallback), fingerprint(dict(app.models)), terms)


def _alone(live: Live, arm: str) -> Live:
    """Return what the bundle of an arm depends on: not who runs beside it, nor how many requests it is to answer."""
    told = live.of(CHAMPION)
    if arm == CHAMPION:
        return Live(told)
    return Live({**told, arm: {name: said for name, said in live.of(arm).items() if name != "share"}})


def _made(app: App, root: Store, life: Lived, live: Live, arm: str) -> Bundle:
    if life.path[-1] != vintage_of(live.body["vintage"]):
        raise StoreError("store: what is live has changed meanwhile. Begin anew.")
    told = live.of(arm)
    champion = _champion(told)
    if champion is not None:
        load_model(root, champion)  # what is gone or was changed is told before the history is read
    cutoff = life.decided[-1].cutoff
    events, tables = read_events(app)
    edges = reached(app, events, life, None)
    # Under a name of its own: the rows that a tick reads meanwhile stay where they are.
    apart = replace(app, name=f"{app.name}--served")
    desk = Desk(apart, events, tables, edges, root, Ledger(root.root / LEDGER), rule_of(life, root))
    triangle = _triangle(desk, life, cutoff)
    path: Sequence[Vintage] = life.path
    own = desk
    if arm != CHAMPION:
        triangle, path, own = _rival(desk, triangle, life, cutoff)
        _refuse_unfilled(desk, own, triangle, arm)
    chain, why = _chain(triangle, path, cutoff)
    return _bundle(desk, own, triangle, live, (arm, told), (chain, why), _parts(root, chain, told))


def _triangle(desk: Desk, life: Lived, cutoff: int) -> Triangle:
    app = replace(desk.with_log(cutoff), seeds=desk.app.seeds[:1])
    read = lay_survey(app, *desk.known(cutoff), desk.edges[: cutoff + 1])
    return growing(read, desk.store, app.live, life.artefacts, life.digests)


def _rival(desk: Desk, triangle: Triangle, life: Lived, cutoff: int) -> tuple[Triangle, Sequence[Vintage], Desk]:
    """Return the triangle of the challenger, what of it would have been live, and the desk with it."""
    trial = trial_of(life)
    if trial is None:
        raise StoreError("store: there is no challenger any more. Begin anew.")
    there = rivals_desk(desk, trial.body)
    made = rival_of(desk, triangle, cutoff, trial.body, told_of(life, trial), there=there)
    return made, [rival_vintage(one, made) for one in life.path], there


def _refuse_unfilled(desk: Desk, own: Desk, triangle: Triangle, arm: str) -> None:
    """Refuse a challenger that reads what requests do not hold: they give what the champion reads."""
    if name := unfilled(desk, own, triangle):
        raise StoreError(
            f"serve: the {arm} reads a column {name!r} that the champion's data do not have, or hold otherwise: "
            "requests give the champion's columns. Put it in place with mlwild deploy, or have it do without."
        )


def _chain(triangle: Triangle, path: Sequence[Vintage], cutoff: int) -> tuple[Chain | None, str]:
    if isinstance(triangle.survey.app.models[triangle.model], Forecast):
        return None, ""  # there is no model that could be guarded
    try:
        return chain_of(triangle, path, cutoff), ""
    except DataError as problem:  # it is told with every answer
        return None, str(problem)


def _champion(told: Mapping[str, Any]) -> Part | None:
    if "key" not in told:
        return None
    return Part("champion", str(told.get("name") or told["live"]), str(told["key"]), str(told["digest"]))


def _parts(root: Store, chain: Chain | None, told: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return where the models of the chain are; the champion's is the one that was published, and no other."""
    champion = _champion(told)
    if champion is None:
        return ()
    links = () if chain is None else chain.links[1:]
    made = [champion]
    for link in links:
        noted = root.get(link.key, "model")
        if noted is None:
            raise StoreError(f"store: the model of {link.name} (key {link.key[:8]}) is missing or damaged.")
        made.append(Part(link.name, str(link.vintage), link.key, str(noted["digest"])))
    return tuple(made)


def _bundle(
    desk: Desk,
    own: Desk,  # a challenger from another file has rows and side tables of its own
    triangle: Triangle,
    live: Live,
    of: tuple[str, Mapping[str, Any]],
    guarded: tuple[Chain | None, str],
    parts: tuple[Part, ...],
) -> Bundle:
    (arm, told), (chain, why) = of, guarded
    survey, name, events = triangle.survey, triangle.model, desk.events
    app = survey.app
    read = own.events.frame.to_arrow()
    model = app.models[name]
    last = None if chain is None else chain.guard.stages[-1]
    file = desk.app.root / str(told["file"]) if told.get("file") else desk.app.file
    return Bundle(
        app=str(live.body["app"]),
        file=str(file),
        code=code_of(app_of(str(file), name)),
        model=name,
        vintage=live.vintage(arm),
        parts=parts,
        guard=None if chain is None else chain.guard,
        unguarded=why,
        ask=survey.ask,
        classes=survey.classes,
        columns=columns_asked(events, app, model),
        data=Shape.of(read),
        learned=Shape.of(survey.features),
        data_kind=str(own.events.frame.implementation),
        kind=survey.kind,
        tables=Tables({key: known_now(table) for key, table in own.tables.items()}),
        limits=_limits(own, triangle),
        constant=_constant(survey, live) if last is None or last.constant is None else last.constant,
        loss=float("nan") if last is None else last.loss,
        newest=_newest(events),
        clock=events.clock.kind,
        live=dict(live.body),
    )


def _limits(desk: Desk, triangle: Triangle) -> dict[str, Limit]:
    """Return how old rows of side tables may be, by events before the last cutoff of a triangle."""
    events, survey = desk.events, triangle.survey
    before = np.flatnonzero(events.time < int(survey.grid.edges[-1]))
    return learn_limits(survey.app, frames.take(events.frame, before), Tables(desk.tables), events.time[before])


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


def main() -> None:
    """Bundle what is asked for, and say where it is kept, in a process of its own: it needs the whole history."""
    asked, out = json.loads(sys.argv[1]), os.fdopen(os.dup(1), "w")
    to_operator()
    try:
        store, key, mark = bundle(asked["file"], store=asked["store"], arm=asked["arm"], said=asked["said"])
        said: dict[str, Any] = {"root": str(store.root.absolute()), "key": key, "digest": mark}
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's file may raise anything; who asked says it
        said = refusal(problem)
    print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
