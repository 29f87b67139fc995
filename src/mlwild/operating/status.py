"""What every app in operation is doing, at a glance."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mlwild.disk import is_held, write_atomically
from mlwild.errors import StoreError
from mlwild.ledger import Ledger
from mlwild.operating.lived import Lived, lived
from mlwild.rehearsal import STORE

FILE, LEDGER, LOCK = "status.json", "ledger.jsonl", "tick.lock"
CUT_OFF = "is not finished: run mlwild operate again"
#: Facts that belong to no tick.
BETWEEN = ("ordered", "registered", "challenged", "unchallenged")


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
        Estimate and interval of the loss of the period that runs.
    came : dict or None
        The last period that was held against its promise.
    kept, of : int
        Promises that were kept, of those that were judged.
    alarm : str
        Why somebody should look; empty if all is well.
    challenger : str
        What runs in shadow, and where it stands; empty if nothing does.
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
    """
    found = []
    for folder in sorted(path.parent for path in Path(store).glob(f"operate/*/{LEDGER}")):
        kept = kept_status(folder)
        try:
            made = kept if kept is not None else status_of(Ledger(folder / LEDGER))
            if made is not None and made.alarm.endswith(CUT_OFF) and is_held(folder / LOCK):
                made = status_of(Ledger(folder / LEDGER), running=True)
        except StoreError as problem:  # the others are shown all the same
            made = Status(app=folder.name, alarm=str(problem))
        if made is not None:
            found.append(made)
    return sorted(found, key=lambda one: (not one.alarm, one.app))


def keep_status(ledger: Ledger, folder: Path) -> None:
    """Leave the state beside the ledger, so that a thousand apps are read in a moment."""
    _keep(ledger, folder, status_of(ledger))


def keep_trouble(folder: Path, problem: BaseException) -> None:
    """Leave word of what kept an app from being operated at all: the ledger has no fact of it."""
    try:
        ledger = Ledger(folder / LEDGER)
        made = status_of(ledger)
        said = " ".join(str(problem).split())[:300]
        if made is not None and not made.alarm.startswith("the tick at"):
            _keep(ledger, folder, replace(made, alarm=f"it could not be operated: {said}"))
    except StoreError as worse:  # the problem itself is on its way, and says more
        problem.add_note(str(worse))


def _keep(ledger: Ledger, folder: Path, made: Status | None) -> None:
    text = json.dumps({"size": ledger.size, "status": None if made is None else made.as_dict()}).encode()
    write_atomically(folder / FILE, lambda file: file.write(text))


def kept_status(folder: Path) -> Status | None:
    """Return the state that was left beside a ledger; None where facts were added since."""
    try:
        kept = json.loads((folder / FILE).read_bytes())
        if kept["size"] != (folder / LEDGER).stat().st_size or kept["status"] is None:
            return None
        return Status(**kept["status"])
    except (OSError, ValueError, KeyError, TypeError):
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
    promised = [fact.body for fact in life.facts if fact.kind == "promised"]
    return Status(
        app=str(opened["app"]),
        rule=str(opened["rule"]["name"]),
        live="" if now is None else str(now.live),
        since=_when(life, moved.cutoff) if moved is not None else "",
        age=0 if now is None else now.cutoff - now.live.cutoff,
        ticks=sum(fact.kind == "ticked" for fact in life.facts),
        last="" if last is None else str(last.body["at"]),
        following=str(opened["at"]) if last is None else str(last.body["next"]),
        promised=dict(promised[-1]) if promised else {},
        came=told[-1] if told else None,
        kept=int(scored[-1]["kept"]) if scored else 0,
        of=int(scored[-1]["of"]) if scored else 0,
        alarm=("" if running else _unfinished(whole)) or _alarm(life, scored),
        challenger=_challenger(life),
    )


def _challenger(life: Lived) -> str:
    last = next((f for f in reversed(life.facts) if f.kind in ("challenged", "unchallenged")), None)
    if last is None or last.kind == "unchallenged":
        return ""
    said = [fact.body["said"] for fact in life.facts[life.facts.index(last) :] if fact.kind == "shadowed"]
    return f"{last.body['name']!r}: {said[-1] if said else 'begins with the next tick'}"


def _when(life: Lived, cutoff: int) -> str:
    said = next((fact.body for fact in life.facts if (fact.kind, fact.cutoff) == ("observed", cutoff)), {})
    return str(said.get("at", ""))


def _unfinished(life: Lived) -> str:
    """Say that the last tick failed or was cut off; empty if it was not."""
    last = next(fact for fact in reversed(life.facts) if fact.kind not in BETWEEN)
    if last.kind == "failed":
        return f"the tick at cutoff {last.cutoff} failed ({last.body['part']}): {last.body['why']}"
    return "" if last.kind == "ticked" else f"the tick at cutoff {last.cutoff} {CUT_OFF}"


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
    if life.decided and life.decided[-1].action == "refused":
        return life.decided[-1].reason
    return ""
