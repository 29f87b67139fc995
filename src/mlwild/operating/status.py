"""What every app in operation is doing, at a glance."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mlwild.clock import text_of
from mlwild.digest import digest
from mlwild.disk import is_held, write_atomically
from mlwild.errors import MlwildError, StoreError, users_place
from mlwild.ledger import Fact, Ledger
from mlwild.operating.beside import beside, percent, settled, shadowed_since, share_of, trial_of, trouble
from mlwild.operating.lived import Lived, lived
from mlwild.operating.publishing import FILE as LIVE
from mlwild.rehearsal import STORE
from mlwild.triangle.store import LIFE, Store

FILE, LEDGER = "status.json", "ledger.jsonl"
CUT_OFF = "is not finished: run mlwild operate again"
#: Facts that belong to no tick.
BETWEEN = ("ordered", "registered", "challenged", "shared", "unchallenged")


@dataclass(frozen=True)
class Status:
    """
    One app in operation.

    Parameters
    ----------
    app, rule : str
    live : str
        Vintage.
    since : str
        When it was put in place.
    age : int
        Periods since it last learned.
    ticks : int
        Finished ones, since the life was opened.
    last, following : str
        Last finished tick, and the cutoff of the next one.
    promised : dict
        Estimate and interval of the loss of the period that runs; where somebody has replaced what it was promised
        for, ``replaced`` alone: which vintage that was.
    came : dict or None
        The last period that was held against its promise.
    kept, of : int
        Promises that were kept, of those that were judged.
    alarm : str
        Why somebody should look; empty if all is well.
    challenger : str
        What runs beside it, and where it stands; empty if nothing does.
    share : float
        Of the requests that this answers; 0 in shadow.
    settled : bool
        Whether that is settled: no tick scores it any more, and it answers nothing.
    running : str
        Since when a call is at work on it; empty if none is.
    """

    app: str
    rule: str = ""
    live: str = ""
    since: str = ""
    age: int = 0
    ticks: int = 0
    last: str = ""
    following: str = ""
    promised: dict[str, Any] = field(default_factory=dict)
    came: dict[str, Any] | None = None
    kept: int = 0
    of: int = 0
    alarm: str = ""
    challenger: str = ""
    share: float = 0.0
    settled: bool = False
    running: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def status(store: str | Path = STORE) -> list[Status]:
    """
    Return the state of every app that is operated from a store, those with an alarm first.

    What the last tick left is read, unless facts were added since: then the ledger itself.

    Parameters
    ----------
    store : str or Path

    Returns
    -------
    list of Status

    Raises
    ------
    StoreError
        If it may not be read: then nobody knows whether all is well.
    """
    home = Path(store) / "operate"
    try:
        folders = sorted(home.iterdir())  # what looks for a pattern finds nothing where it may not read
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise StoreError(f"store: {home} cannot be read: {problem.strerror}.") from problem
    found = (state_in(folder) for folder in folders)
    return sorted((one for one in found if one is not None), key=lambda one: (not one.alarm, one.app))


def state_in(folder: Path) -> Status | None:
    """
    Return the state of one app in operation; None where no life was opened.

    Parameters
    ----------
    folder : Path
        Of the app.

    Returns
    -------
    Status or None
    """
    try:
        made = kept_status(folder)
        made = made if made is not None else status_of(Ledger(folder / LEDGER))
        if made is None:
            return Status(app=folder.name, alarm=gone(folder)) if gone(folder) else None
        if is_held(folder / LIFE):
            since = text_of((folder / LIFE).stat().st_mtime)
            cut_off = made.alarm.endswith(CUT_OFF)
            running = status_of(Ledger(folder / LEDGER), running=True) if cut_off else made
            made = replace(running or made, running=since)
        said = "; ".join(one for one in (no_model(folder), made.alarm) if one)
        made = replace(made, alarm=said)
    except StoreError as problem:  # the others are shown all the same
        return Status(app=folder.name, alarm=str(problem))
    return made


def gone(folder: Path) -> str:
    """Say that the ledger of what is live has been lost; empty if nothing is live."""
    if not (folder / LIVE).exists():
        return ""
    return (
        f"ledger: {folder / LEDGER} is gone or empty, and {LIVE} beside it says that something is live. Restore it "
        "from a copy, or begin anew with --reopen"
    )


def no_model(folder: Path) -> str:
    """Say that the model of what is live is gone; empty if it is there, or what is live has none."""
    try:
        said = json.loads((folder / LIVE).read_bytes())
        path = Store(folder).payload(str(said["key"]), "model")
        vintage = str(said["live"])
    except (OSError, ValueError, KeyError, TypeError):  # a published forecast; what is damaged is for those who serve
        return ""
    if path.exists():
        return ""
    return (
        f"the model of vintage {vintage}, which is live, is gone: no server starts and nothing is predicted without "
        f"it. Restore {path}, or run mlwild operate, which makes it again"
    )


def keep_status(ledger: Ledger, folder: Path) -> None:
    """Leave the state beside the ledger, so that a thousand apps are read in a moment."""
    keep_state(ledger, folder, status_of(ledger))


def keep_trouble(folder: Path, problem: BaseException) -> None:
    """Leave word of what kept an app from being operated at all: the ledger has no fact of it."""
    try:
        ledger = Ledger(folder / LEDGER)
        made = status_of(ledger)
        said = " ".join(str(problem).split())[:300]
        if not isinstance(problem, MlwildError) and (where := users_place(problem)):
            said = f"{where} raised {type(problem).__name__}: {said}"
        if made is not None and not made.alarm.startswith("the tick at"):
            keep_state(ledger, folder, replace(made, alarm=f"it could not be operated: {said}"))
    except StoreError as worse:  # the problem itself is on its way, and says more
        problem.add_note(str(worse))
        with contextlib.suppress(OSError):  # what was well is not any more: who looks reads the ledger
            (folder / FILE).unlink()


def keep_state(ledger: Ledger, folder: Path, made: Status | None) -> None:
    """Leave a state beside a ledger; it counts until that changes."""
    body = {"stamp": _stamp(folder), "size": ledger.size, "status": None if made is None else made.as_dict()}
    text = json.dumps(body | {"check": _check(body)}).encode()
    write_atomically(folder / FILE, lambda file: file.write(text))


def _stamp(folder: Path) -> int:
    """Return what changes with the ledger, though its size stays."""
    return (folder / LEDGER).stat().st_mtime_ns


def _check(body: dict[str, Any]) -> str:
    return digest("status 2", json.dumps(body, sort_keys=True))


def kept_status(folder: Path) -> Status | None:
    """Return the state that was left beside a ledger; None where that has changed since."""
    try:
        kept = json.loads((folder / FILE).read_bytes())
        sound = kept.pop("check") == _check(kept)
        same = kept["size"] == (folder / LEDGER).stat().st_size and kept["stamp"] == _stamp(folder)
        return Status(**kept["status"]) if sound and same and kept["status"] is not None else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def status_of(ledger: Ledger, *, running: bool = False) -> Status | None:
    """
    Return what a ledger says as of the last finished tick; None where no life was opened.

    A tick that is not finished is an alarm, unless it is running.
    """
    whole = lived(ledger)
    if whole is None:
        return None
    life = whole.finished
    opened = life.opened.body
    last = max((fact for fact in life.facts if fact.kind == "ticked"), key=lambda fact: fact.cutoff, default=None)
    now = life.decided[-1] if life.decided else None
    moved = next((one for one in reversed(life.decided) if one.action not in ("keep", "refused")), None)
    scored = [fact.body for fact in life.facts if fact.kind == "scored"]
    told = [one for body in scored for one in body["periods"]]
    promised = [fact for fact in life.facts if fact.kind == "promised"]
    return Status(
        app=str(opened["app"]),
        rule=str(opened["rule"]["name"]),
        live="" if now is None else str(now.live),
        since=_when(life, moved.cutoff) if moved is not None else "",
        age=0 if now is None else now.cutoff - now.live.cutoff,
        ticks=sum(fact.kind == "ticked" for fact in life.facts),
        last="" if last is None else str(last.body["at"]),
        following=str(opened["at"]) if last is None else str(last.body["next"]),
        promised=_promised(life, promised[-1]) if promised else {},
        came=told[-1] if told else None,
        kept=int(scored[-1]["kept"]) if scored else 0,
        of=int(scored[-1]["of"]) if scored else 0,
        alarm=("" if running else _unfinished(whole)) or _alarm(life, scored),
        challenger=_challenger(life),
        share=_share(life),
        settled=_settled(life),
    )


def _promised(life: Lived, fact: Fact) -> dict[str, Any]:
    """Return the promise of the period that runs; of a vintage that somebody has replaced since, only which it was."""
    gone = life.replaced(fact.cutoff)
    return dict(fact.body) if gone is None else {"replaced": str(gone)}


def _share(life: Lived) -> float:
    found = beside(life)
    return 0.0 if found is None else found.share


def _settled(life: Lived) -> bool:
    begun = trial_of(life)
    return begun is not None and settled(life, begun)


def _challenger(life: Lived) -> str:
    begun = trial_of(life)
    if begun is None:
        return ""
    said = [fact.body["said"] for fact in shadowed_since(life, begun)]
    name, asked, answers = f"{begun.body['name']!r}", share_of(life), _share(life)
    if answers:
        name += f", which answers {percent(answers)} of the requests"
    elif asked:
        why = "settled" if settled(life, begun) else "not in use"
        name += f", which was to answer {percent(asked)} and answers none ({why})"
    return f"{name}: {said[-1] if said else 'begins with the next tick'}"


def _when(life: Lived, cutoff: int) -> str:
    said = next((fact.body for fact in life.facts if (fact.kind, fact.cutoff) == ("observed", cutoff)), {})
    return str(said.get("at", ""))


def _unfinished(life: Lived) -> str:
    """Say that the last tick failed or was cut off; empty if it was not."""
    last = next(fact for fact in reversed(life.facts) if fact.kind not in BETWEEN)
    at = last.body.get("at") or _due(life, last.cutoff)
    if last.kind == "failed":
        where = f" in {one}" if (one := last.body.get("where")) else ""
        return f"the tick at {at} failed ({last.body['part']}){where}: {last.body['why']}"
    return "" if last.kind == "ticked" else f"the tick at {at} {CUT_OFF}"


def _due(life: Lived, cutoff: int) -> str:
    """Return the instant of a tick that is not finished, as the one before told it."""
    if cutoff == life.first:
        return str(life.opened.body["at"])
    return next((str(fact.body["next"]) for fact in reversed(life.facts) if fact.kind == "ticked"), f"cutoff {cutoff}")


def _alarm(life: Lived, scored: list[dict[str, Any]] | list[Any]) -> str:
    """Return the gravest thing of finished ticks: what stands in, broken promises, a refusal."""
    decided = next((fact for fact in reversed(life.facts) if fact.kind == "decided"), None)
    if decided is not None and decided.body.get("alarm") and life.replaced(decided.cutoff) is None:
        return str(decided.body["alarm"])
    observed = [fact.body["alarm"] for fact in life.facts if fact.kind == "observed"]
    if observed and observed[-1]:
        return str(observed[-1])
    if scored and scored[-1]["alarm"]:
        return str(scored[-1]["alarm"])
    if said := trouble(life):
        return said
    if life.decided and life.decided[-1].action == "refused":
        return life.decided[-1].reason
    return ""
