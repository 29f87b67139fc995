"""How a life begins: by which rule, at which cutoff, and after which past."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.clock import Clock
from mlwild.compute import Jobs
from mlwild.declared import check_windows
from mlwild.digest import bytes_digest, digest, fingerprint
from mlwild.disk import write_atomically
from mlwild.errors import AppError, DataError, StoreError
from mlwild.events import Events
from mlwild.guarding import check_draws
from mlwild.ledger import Fact, Ledger
from mlwild.lives import first_vintage, fold
from mlwild.operating.knowing import known_then
from mlwild.operating.lived import Lived, lived, of_vintage
from mlwild.records import Vintage
from mlwild.rehearsal import contest_of, folder_of, last_sheet, made_of_app
from mlwild.rules import DEFAULT, Rule, example
from mlwild.rules.standard import PLAIN
from mlwild.side_tables import SideTable
from mlwild.stats.lateness import arrived_share
from mlwild.triangle import Survey, Triangle, build
from mlwild.triangle.logged import log_as_of
from mlwild.triangle.settled import SETTLED
from mlwild.triangle.store import Store
from mlwild.triangle.survey import lay_survey, origin_of
from mlwild.wording import things

#: Periods before the first cutoff that a life can be opened at: fewer tell nothing.
EARLIEST = 3
#: What the digest of a rule is kept under, beside it.
MARK = ".digest"


@dataclass(frozen=True)
class Wish:
    """
    How a life is to begin.

    Parameters
    ----------
    rule : Rule or str, optional
        Default what the last rehearsal recommended.
    begin : str or int, optional
        The first cutoff at or after this instant; default the last one.
    store : str or Path
        Of rehearsals.
    jobs : int, optional
    """

    rule: Rule | str | None
    begin: str | int | None
    store: str | Path
    jobs: Jobs


def opened(
    app: App,
    history: tuple[Events, dict[str, SideTable]],
    edges: NDArray[np.int64],
    ledger: Ledger,
    root: Store,
    wish: Wish,
) -> Lived:
    """
    Open a life: note the rule, the code, the first cutoff, and the life that the rule would have led until then.

    Parameters
    ----------
    app : App
    history : tuple of Events and dict of str to SideTable
    edges : ndarray of int64
        Instants of decision so far.
    ledger : Ledger
    root : Store
        Of this app in operation.
    wish : Wish

    Returns
    -------
    Lived

    Raises
    ------
    AppError, DataError
        If the rule or the first cutoff cannot be.
    """
    events = history[0]
    first = _first(events.clock, edges, wish.begin)
    before = lived(ledger)
    if before is not None and int(edges[first]) <= _until(before):
        raise _too_early(app, events, edges, before, wish.begin)
    name = _name(app, wish)
    if not isinstance(name, str):
        check_windows(app, [name])
    rehearsals = Store(folder_of(app, wish.store))
    with rehearsals.lock(app.name):
        known = log_as_of(app, int(edges[first]))
        read = lay_survey(known, *known_then(app, *history, int(edges[first])), edges[: first + 1])
        check_draws(read)  # else what is published could not be served
        # A signal may ask other models for a second opinion.
        models = None if hasattr(name, "monitor") or isinstance(name, str) else [app.live]
        triangle = build(read, rehearsals, jobs=wish.jobs, models=models)[0]
        start = first_vintage(triangle)
        rule = _rule(app, name, triangle, start)
        past = fold(rule, triangle, start).live if start is not None else ()
        keys = {str(vintage): _shared(triangle, vintage, root) for vintage in dict.fromkeys(past)}
    key = rule_key(rule)
    keep_rule(rule, rule_path(root, key))
    body = {
        "app": app.name,
        "at": events.clock.show(int(edges[first])),
        "edge": int(edges[first]),
        "rule": {"name": rule.name, "key": key},
        "made_of": code_of(app),
        "loss": app.loss_.title,
        "unit": "" if app.prices is None else app.prices.unit,
        "delay": read.grid.usual_delay,
        "settles": settles(read),
        "since": [origin_of(app, events), int(edges[0])],
        "past": {
            "first": 0 if start is None else start.cutoff,
            "path": [of_vintage(one) for one in past],
            "keys": keys,
        },
    }
    # One that was opened in the same way, and has not begun, is that one.
    if before is None or before.decided or (before.first, dict(before.opened.body)) != (first, body):
        ledger.append(Fact("opened", first, body))
    life = lived(ledger)
    assert life is not None
    return life


def rule_key(rule: Rule) -> str:
    """Return a digest of a rule and its parameters."""
    return digest("rule 1", fingerprint(rule))


def rule_path(root: Store, key: str) -> Path:
    """Return where the rule of a life is kept: beside the ledger, since it cannot be made again."""
    return root.root / "rules" / f"{key}.pickle"


def keep_rule(rule: Rule, path: Path) -> None:
    """Keep a rule with its digest; both are on the disk before any fact speaks of it."""
    payload = cloudpickle.dumps(rule)
    write_atomically(path, lambda file: file.write(payload), sync=True)
    mark = bytes_digest(payload).encode()
    write_atomically(path.with_suffix(MARK), lambda file: file.write(mark), sync=True)


def read_rule(path: Path, name: str) -> Rule:
    """
    Return a rule that was kept.

    Raises
    ------
    StoreError
        If it is gone, does not agree with its digest, or cannot be loaded.
    """
    try:
        rule: Rule = pickle.loads(_unharmed(path))
    except Exception as problem:  # whatever a class that is gone, or half a pickle, raises
        said = " ".join(str(problem).split())[:200]
        raise StoreError(
            f"store: the rule {name!r} cannot be read from {path} ({type(problem).__name__}: {said}). Restore the file "
            "and the code that it needs, or open a new life with --reopen."
        ) from problem
    return rule


def _unharmed(path: Path) -> bytes:
    payload, mark = path.read_bytes(), path.with_suffix(MARK)
    if mark.exists() and mark.read_bytes() != bytes_digest(payload).encode():
        raise ValueError("its file does not agree with its digest")
    return payload


def first_cutoff(clock: Clock, edges: NDArray[np.int64], begin: str | int) -> int:
    """Return the first cutoff at or after an instant; one more than there are if none is."""
    return int(np.searchsorted(edges, instant_of(clock, begin, "begin")))


def instant_of(clock: Clock, value: str | int, field: str) -> int:
    """Read an instant; where time is counted in integers, as text too."""
    if clock.kind == "tick" and isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = int(value)
    return clock.parse(value, field)


def settles(survey: Survey) -> int:
    """Return the periods after whose end nine in ten of the labels that come have come."""
    period, arrival, counts = survey.arrivals
    known = arrival <= survey.grid.periods
    period, arrival, counts = period[known], arrival[known], counts[known]
    share = arrived_share(arrival - period - 1, survey.grid.periods - 1 - period, counts)
    return int(np.argmax(share >= SETTLED)) if len(share) else 0


def _first(clock: Clock, edges: NDArray[np.int64], begin: str | int | None) -> int:
    first = len(edges) - 1
    if begin is not None:
        first = first_cutoff(clock, edges, begin)
        if first == len(edges):
            raise AppError(f"begin: no cutoff at or after {begin!r}; the data reach {clock.show(int(edges[-1]))}.")
    if first < EARLIEST:
        there = f"there {'is' if first == 1 else 'are'} {things(first, 'period')}"
        raise DataError(
            f"data: {there} before the first cutoff of operation; it takes {EARLIEST}. Give more history, or a later "
            "`begin`."
        )
    return first


def _until(life: Lived) -> int:
    """Return the instant after which another life may begin, whose cutoffs may be counted otherwise."""
    done = [one.at for one in life.decided if one.cutoff <= life.ticked]
    return done[-1] if done else int(life.opened.body["edge"]) - 1


def _too_early(
    app: App, events: Events, edges: NDArray[np.int64], before: Lived, begin: str | int | None
) -> AppError | DataError:
    """Return what says that a new life begins after the last tick of the one so far, and when that is."""
    last = next((fact.body["at"] for fact in reversed(before.facts) if fact.kind == "ticked"), before.opened.body["at"])
    after = _until(before)
    far = max(int(edges[-1]), after) + 3 * app.every_.exact
    ahead = events.clock.cutoffs(int(events.time[0]), far, app.every_, origin_of(app, events))
    following = events.clock.show(int(ahead[ahead > after][0]))
    if begin is not None:
        return AppError(
            f"begin: the life so far has done its tick at {last}, and a new one begins after that. Give {following} or "
            "later."
        )
    stays = f" Vintage {before.path[-1]} stays live until then." if before.path else ""
    return DataError(
        f"data: the life so far has done its tick at {last}, and a new one begins at the next cutoff: run the same "
        f"command when the data reach {following}.{stays}"
    )


def _name(app: App, wish: Wish) -> Rule | str:
    """Return the rule that is wished for, or its name."""
    if wish.rule is not None:
        return wish.rule
    try:
        sheet = last_sheet(app, store=wish.store)
    except AppError:
        usual = (DEFAULT if app.prices is not None else PLAIN).name
        named = quote(usual if not app.rules else example([one.name for one in app.rules]))
        raise AppError(
            f"rule: {app.name!r} was not rehearsed, so no rule is recommended. Run mlwild rehearse first, or name "
            f"one: --rule {named}."
        ) from None
    best = sheet["recommended"]
    if best["rule"] is None:
        named = quote(example([row["name"] for row in sheet["rules"]]))
        raise AppError(
            f"rule: the rehearsal of {app.name!r} recommends none, since {best['reason']}. Name one of those that it "
            f"compared: --rule {named}."
        )
    return str(best["rule"])


def _rule(app: App, name: Rule | str, triangle: Triangle, start: Vintage | None) -> Rule:
    """Return the rule of a name: the app's own, or a standard one with limits from what was known."""
    if not isinstance(name, str):
        return name
    contest: Sequence[Rule] = () if start is None else app.rules or contest_of(app, triangle, start)
    known = {one.name: one for one in contest}
    if name not in known:
        if start is None:
            why = next((f" ({one}: {found.why})" for one, found in triangle.failed.items()), "")
            first = triangle.survey.clock.show(int(triangle.survey.grid.edges[-1]))
            raise DataError(
                f"models[{app.live!r}]: no vintage could be made at any cutoff{why} before {first}. Nothing was begun. "
                "Mend the model; where it takes more history than that, begin later, with --begin."
            )
        raise AppError(f"rule: there is no {name!r}; there is {', '.join(known)}.")
    return known[name]


def _shared(triangle: Triangle, vintage: Vintage, root: Store) -> str:
    """Take over a model that a rehearsal has fitted, and return its key."""
    key = triangle.recipe.fit_key(vintage)
    noted = triangle.store.get(key, "model")
    if noted is not None and root.get(key, "model") is None:
        payload = triangle.store.payload(key, "model").read_bytes()
        root.put_once(key, "model", lambda file: file.write(payload), rows=noted.get("rows"))
    return key


def same_code(app: App, made_of: str) -> bool:
    """Say whether a digest is that of an app's code; older versions counted the path of its contract as code too."""
    return made_of in (code_of(app), _code(app, app.contract))


def code_of(app: App) -> str:
    """
    Return a digest of all in an app that decisions and losses rest on, beside its rows.

    Its contract is none of that: it may be written later, edited, or moved with the app and its store.
    """
    return _code(app, None)


def _code(app: App, contract: str | Path | None) -> str:
    declared = (app.time, app.known_at, app.delay, app.entity, app.propensity, app.feedback, app.seeds[0], app.prices)
    windows = tuple(str(window) for window in app.windows)
    sides = [(name, one.time, one.available_at, one.delay, one.keys) for name, one in app.tables.items()]
    shape = (app.frame, app.min_rows, app.not_features if app.features is None else ())
    told = [str(one) for one in (*declared, windows, sides, shape)]
    # Another model is none of its business, unless a signal may ask it for a second opinion.
    heard = bool(app.monitors) or any(hasattr(rule, "monitor") for rule in app.rules or ())
    mine = app if heard else replace(app, models={app.live: app.models[app.live]}, fallback=None)
    return digest("operated 2", made_of_app(mine, contract), told, fingerprint(app.update))
