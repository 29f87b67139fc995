"""One tick: observe, decide, fit, judge, promise, publish; each a fact that is written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlwild.errors import BlockedError, DataError, MlwildError, StoreError, users_place
from mlwild.ledger import Fact
from mlwild.operating.contracted import because_of, broken
from mlwild.operating.desk import Desk
from mlwild.operating.judging import judged
from mlwild.operating.lived import body_of, drop_memory, keep_memory, life_before, replayed, view_of
from mlwild.operating.noting import note_features
from mlwild.operating.promises import promised, scored
from mlwild.operating.publishing import published
from mlwild.operating.registering import registered, to_register
from mlwild.operating.rescue import rescued, told, told_of_rescue, with_lost
from mlwild.operating.shadowing import running, shadowed
from mlwild.operating.status import keep_status
from mlwild.operating.taking_over import take_over
from mlwild.records import Decided, Vintage
from mlwild.step import State, begin, refuse, step
from mlwild.triangle import Triangle
from mlwild.wording import things

#: Share of what was there at the last tick that may be gone: a person who asked to be forgotten, a row given twice.
GONE = 0.01


@dataclass(frozen=True)
class Tick:
    """
    What a tick left in the ledger.

    Parameters
    ----------
    cutoff : int
    at : str
        Its instant, for a reader.
    facts : dict of str to dict
        Bodies by kind.
    new : int
        Facts that were written; 0 if it was finished before.
    """

    cutoff: int
    at: str
    facts: dict[str, dict[str, Any]]
    new: int

    @property
    def action(self) -> str:
        """What was decided."""
        return str(self.facts["decided"]["action"])

    @property
    def alarm(self) -> str:
        """Why somebody should look: a stand-in, a refusal, a feed, a broken contract or promise, a canary; or empty."""
        decided = self.facts["decided"]
        if "alarm" in decided or self.action == "refused":
            return str(decided.get("alarm") or decided["reason"])
        parts = (self.facts.get(kind, {}) for kind in ("observed", "scored", "shadowed"))
        return next((str(part["alarm"]) for part in parts if part.get("alarm")), "")


def tick(desk: Desk, cutoff: int) -> Tick:
    """
    Do what is due at a cutoff, as it was known then; what was done before is not done again.

    A fact is written as soon as its part is done, so that a tick that was cut off goes on where it stopped. If a part
    fails, that is a fact too, and the tick stays open.

    Parameters
    ----------
    desk : Desk
    cutoff : int
        The first one after the last finished tick.

    Raises
    ------
    DataError, StoreError
        What went wrong; the ledger says so.
    """
    done = _Once(desk, cutoff)
    if done.found("ticked"):
        return done.tick()
    part = "observed"
    try:
        # First: what a model was fed is what the features of this tick are.
        served = {} if done.found("observed") else take_over(desk, cutoff)
        triangle = _triangle(desk, cutoff)
        done("observed", lambda: _observed(desk, triangle, cutoff, served))
        part = "decided"
        done("decided", lambda: _decided(desk, triangle, cutoff))
        if desk.ledger.lasting:
            drop_memory(desk.rule, desk.lived().decided, desk.store)
        part = "fitted"
        if not desk.published:
            done("fitted", lambda: _fitted(desk, triangle))
        part = "scored"
        done("scored", lambda: scored(desk, triangle, cutoff))
        if running(desk.lived(), cutoff):
            part = "shadowed"
            done("shadowed", lambda: shadowed(desk, triangle, cutoff))
        if to_register(desk):
            part = "registered"
            done("registered", lambda: registered(desk, cutoff))
        part = "promised"
        done("promised", lambda: promised(desk, triangle, cutoff))
        part = "published"
        done("published", lambda: published(desk, cutoff))
        done("ticked", lambda: {"at": _shown(desk, cutoff), "next": desk.following(cutoff)})
    except (Exception, SystemExit) as problem:
        _fail(desk, cutoff, part, problem)
        raise
    finally:
        if desk.ledger.lasting and desk.ledger.facts and not desk.ledger.holding:
            keep_status(desk.ledger, desk.store.root)
    return done.tick()


class _Once:
    """Facts of one cutoff: each is made and written once."""

    def __init__(self, desk: Desk, cutoff: int) -> None:
        self.desk, self.cutoff, self.new = desk, cutoff, 0

    def found(self, kind: str) -> Fact | None:
        since = self.desk.lived().facts
        return next((fact for fact in since if (fact.kind, fact.cutoff) == (kind, self.cutoff)), None)

    def __call__(self, kind: str, make: Callable[[], dict[str, Any]]) -> None:
        if self.found(kind) is None:
            fact, ledger = Fact(kind, self.cutoff, make()), self.desk.ledger
            if ledger.holding and kind != "decided":  # the life before goes on until this one has a first decision
                ledger.hold(fact)
            else:
                ledger.append(fact)
            self.new += 1

    def tick(self) -> Tick:
        mine = [fact for fact in self.desk.lived().facts if fact.cutoff == self.cutoff and fact.kind != "failed"]
        bodies = {fact.kind: dict(fact.body) for fact in mine}
        return Tick(self.cutoff, _shown(self.desk, self.cutoff), bodies, self.new)


def _triangle(desk: Desk, cutoff: int) -> Triangle:
    """Make the triangle; where the app's code raises over data that break their contract, say that."""
    try:
        return desk.triangle(cutoff)
    except Exception as problem:
        told = because_of(desk, cutoff, problem)
        if told is problem:
            raise
        raise told from problem


def _observed(desk: Desk, triangle: Triangle, cutoff: int, served: dict[str, Any]) -> dict[str, Any]:
    survey = triangle.survey
    _, arrival, counts = survey.arrivals
    now, before = len(survey.time), int(survey.grid.row_start[cutoff - 1])
    known = int(np.count_nonzero(survey.known_at <= survey.grid.edges[cutoff]))
    last = next((fact.body for fact in reversed(desk.lived().facts) if fact.kind == "observed"), {})
    gone = _gone("row", before, last.get("all_rows")) or _gone("label", known, last.get("all_labels"))
    # First, so that versions name the log with these rows.
    noted = note_features(desk, triangle, cutoff)
    seen = {
        "at": _shown(desk, cutoff),
        "rows": int(survey.grid.rows[cutoff - 1]),
        # Rows of earlier periods that were not there at the last tick (below 0: that are gone).
        "late": before - last["all_rows"] if last else 0,
        "all_rows": now,
        "all_labels": known,
        "labels": int(counts[arrival == cutoff].sum()),
        "data": survey.data_digest,
        "tables": desk.versions(),
        **_of_labels(desk, cutoff),
        "alarm": _dried_up(desk, triangle, cutoff)
        or gone
        or broken(desk, cutoff, triangle)
        or served.get("unread", ""),
    } | noted
    if served:
        seen["served"] = served
    return with_lost(seen, desk.lived(), triangle)


def _of_labels(desk: Desk, cutoff: int) -> dict[str, Any]:
    """Count labels that changed, those whose event is not there, and those that nothing could be told from then."""
    events = desk.known(cutoff)[0]
    told = events.told
    counts = {} if told is None else {"changed_labels": told.changed, "strange_labels": told.strange}
    # As they were known then: refused by anybody who had read them, and corrected since.
    return counts | ({"unsound_labels": events.unsound} if events.unsound else {})


def _gone(what: str, now: int, before: int | None) -> str:
    """Say whether many of what was there at the last tick are not there any more; empty if they are."""
    lost = (before or 0) - now
    if not before or lost <= GONE * before:
        return ""
    return f"{things(lost, what)} of the {before:,} of the last tick are gone: was the source cut, or emptied?"


def _dried_up(desk: Desk, triangle: Triangle, cutoff: int) -> str:
    """Say whether rows or labels have stopped coming; empty if they have not."""
    grid = triangle.survey.grid
    if not grid.rows[cutoff - 1]:
        return "no row came in the last period: is the feed down?"
    # Labels of rows so old have come by now, nine in ten of those that ever do.
    wait = int(desk.lived().opened.body["settles"]) + 1
    _, arrival, counts = triangle.survey.arrivals
    came = counts[(arrival > cutoff - wait) & (arrival <= cutoff)].sum()
    asked = cutoff >= wait and grid.rows[cutoff - wait] > 0
    if came or not asked:
        return ""
    periods = "the last period" if wait == 1 else f"the last {wait} periods"
    return f"no label came in {periods}, though nine in ten usually come sooner: is their feed down?"


def _decided(desk: Desk, triangle: Triangle, cutoff: int) -> dict[str, Any]:
    so_far = desk.lived().decided
    if not so_far:
        state, fact = _begun(desk, triangle, cutoff)
    else:
        before = replayed(desk.rule, triangle, so_far, desk.store, desk.lived().rescues)
        if before.live in triangle.lost:
            state, fact = rescued(before, triangle, desk.lived(), cutoff)
            keep_memory(desk.rule, (*so_far, fact), state.memory, desk.store)
            return body_of(fact) | told_of_rescue(desk.lived(), fact)
        state, fact = step(desk.rule, before, view_of(triangle, before, cutoff))
        # What was live before has passed already.
        if desk.gate is not None and state.live not in before.deployed:
            why = judged(desk, cutoff)
            if why:
                state, fact = refuse(before, state, fact, why)
        state, fact = _held(desk, cutoff, before, state, fact)
    keep_memory(desk.rule, (*so_far, fact), state.memory, desk.store)
    return body_of(fact) | told(desk.lived(), triangle, fact)


def _held(desk: Desk, cutoff: int, before: State, state: State, fact: Decided) -> tuple[State, Decided]:
    """Keep what a person put back, for as long as he said."""
    last = desk.lived().orders[-1:]
    if state.live == before.live or not last or cutoff > last[0].cutoff + int(last[0].body["hold"]):
        return state, fact
    until = last[0].cutoff + int(last[0].body["hold"])
    more = f" ({fact.reason})" if fact.reason else ""
    stays, kept = refuse(before, state, fact, f"held by hand until cutoff {until}; the rule would {fact.action}{more}")
    return stays, replace(kept, action="keep")


def _begun(desk: Desk, triangle: Triangle, cutoff: int) -> tuple[State, Decided]:
    vintage = Vintage(cutoff, str(desk.app.windows[0]))
    if not triangle.usable(vintage):
        why = triangle.failed[vintage].why if vintage in triangle.failed else "it was refused"
        raise DataError(f"models[{desk.app.live!r}]: no vintage could be made at {_shown(desk, cutoff)}: {why}.")
    if desk.gate is not None and (said := judged(desk, cutoff)):
        before = life_before(desk.ledger)
        stays = "nothing is live" if before is None or not before.path else f"vintage {before.path[-1]} stays live"
        file = "APP.py" if desk.app.file is None else desk.app.file.name
        raise BlockedError(
            f"{said}. It is judged as of {_shown(desk, cutoff)}, whatever comes later: mend it, or begin later, with "
            f"--begin. A life begins with a model that passes; {stays}. See: mlwild gate {file}"
        )
    return begin(vintage, int(desk.edges[cutoff]))


def _fitted(desk: Desk, triangle: Triangle) -> dict[str, Any]:
    """Tell which artefact is live now, and its digest."""
    live = desk.lived().path[-1]
    triangle.ensure(live)
    key = triangle.recipe.fit_key(live)
    noted = desk.store.get(key, "model")
    if noted is None:
        raise StoreError(f"store: the model of vintage {live} is missing or damaged, and could not be made again.")
    told = next((fact.body for fact in desk.lived().facts if fact.kind == "fitted" and fact.body["key"] == key), None)
    if told is not None and told["digest"] != noted["digest"]:
        raise StoreError(
            f"store: the model of vintage {live} was lost, and what was made again is not the same (digest "
            f"{noted['digest'][:8]}, was {told['digest'][:8]}): its rows have changed, or its fit cannot be repeated. "
            f"Restore {desk.store.root}, or open a new life with --reopen."
        )
    desk.store.sync(key, "model")  # before a fact speaks of it
    return {"live": str(live), "key": key, "digest": noted["digest"], "rows": noted.get("rows")}


def _fail(desk: Desk, cutoff: int, part: str, problem: BaseException) -> None:
    """Leave word of a failure, once; where even that cannot be written, the problem itself says so."""
    if desk.ledger.holding:  # this life has not begun: nothing is told of it
        return
    said = " ".join(str(problem).split())[:300]
    body = {"part": part, "why": f"{type(problem).__name__}: {said}", "at": _shown(desk, cutoff)}
    if not isinstance(problem, MlwildError) and (where := users_place(problem)):
        body["where"] = where
    last = desk.ledger.facts[-1] if desk.ledger.facts else None
    if last is not None and (last.kind, last.cutoff, dict(last.body)) == ("failed", cutoff, body):
        return
    try:
        desk.ledger.append(Fact("failed", cutoff, body))
    except StoreError as worse:
        problem.add_note(str(worse))


def _shown(desk: Desk, cutoff: int) -> str:
    return desk.clock.show(int(desk.edges[cutoff]))


__all__ = ["Tick", "tick"]
