"""The life that a ledger tells of: what is live, since when, and what the rule remembers."""

from __future__ import annotations

import pickle
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle

from mlwild.digest import digest, fingerprint
from mlwild.ledger import Fact, Ledger
from mlwild.records import Decided, Vintage
from mlwild.rules import Rule, View
from mlwild.step import State, begin, look
from mlwild.triangle import Triangle
from mlwild.triangle.store import Store


@dataclass(frozen=True)
class Lived:
    """
    What a ledger says of a life since it was opened last.

    Parameters
    ----------
    opened : Fact
    facts : tuple of Fact
        From the opening on.
    decided : tuple of Decided
        One a cutoff; where a person ordered otherwise, what he ordered.
    """

    opened: Fact
    facts: tuple[Fact, ...]
    decided: tuple[Decided, ...]

    @property
    def orders(self) -> list[Fact]:
        """What a person ordered, oldest first."""
        return [fact for fact in self.facts if fact.kind == "ordered"]

    def replaced(self, cutoff: int) -> Vintage | None:
        """Return what a person replaced in the middle of a period; None if nobody did, or put it back again."""
        first = next((fact for fact in self.orders if fact.cutoff == cutoff), None)
        if first is None:
            return None
        was = vintage_of(first.body["instead_of"])
        return None if was == self.path[cutoff - self.first] else was

    @property
    def first(self) -> int:
        """Cutoff at which it was opened."""
        return self.opened.cutoff

    @property
    def since(self) -> tuple[int, int]:
        """What its cutoffs are counted from, and the first of them."""
        origin, first = self.opened.body["since"]
        return int(origin), int(first)

    @property
    def path(self) -> tuple[Vintage, ...]:
        """What was live in each period from the first on, the one that opened last included."""
        return tuple(one.live for one in self.decided)

    @property
    def came(self) -> tuple[tuple[Vintage, int], ...]:
        """What was put in place or kept, and at which cutoff, oldest first: what a person replaced at once as well."""
        told = (fact for fact in self.facts if fact.kind in ("decided", "ordered"))
        return tuple((vintage_of(fact.body["vintage"]), fact.cutoff) for fact in told)

    @property
    def before(self) -> tuple[int, tuple[Vintage, ...]]:
        """Return the first period of the life that the rule would have led before, and what would have been live."""
        past = self.opened.body["past"]
        return int(past["first"]), tuple(vintage_of(one) for one in past["path"])

    @property
    def artefacts(self) -> dict[Vintage, str]:
        """Keys of the models that were live: what learned from rows that have changed since is still what it was."""
        past = self.before[1]
        keys = self.opened.body["past"]["keys"]
        made = {one: str(keys[str(one)]) for one in past if str(one) in keys}
        live = {fact.cutoff: vintage_of(fact.body["vintage"]) for fact in self.facts if fact.kind == "decided"}
        return made | {live[fact.cutoff]: str(fact.body["key"]) for fact in self.facts if fact.kind == "fitted"}

    @property
    def finished(self) -> Lived:
        """The same without the tick that is not finished."""
        last = self.ticked
        kept = tuple(fact for fact in self.facts if fact is self.opened or fact.cutoff <= last)
        return replace(self, facts=kept, decided=tuple(one for one in self.decided if one.cutoff <= last))

    @property
    def digests(self) -> dict[str, str]:
        """Digests of the models that were live, by key."""
        return {str(fact.body["key"]): str(fact.body["digest"]) for fact in self.facts if fact.kind == "fitted"}

    @property
    def rescues(self) -> frozenset[int]:
        """Cutoffs at which the rule was not asked, since what was live could not be used any more."""
        return frozenset(fact.cutoff for fact in self.facts if fact.kind == "decided" and "lost" in fact.body)

    @property
    def ticked(self) -> int:
        """Last cutoff whose tick is finished; one before the first if none is."""
        return max((fact.cutoff for fact in self.facts if fact.kind == "ticked"), default=self.first - 1)


def lived(ledger: Ledger) -> Lived | None:
    """Return the life that a ledger tells of, since it was opened last; None where it never was."""
    return _last_of(ledger.facts)


def life_before(ledger: Ledger) -> Lived | None:
    """Return the life before the one that was opened last; None where there was none."""
    facts = ledger.facts
    opened = [place for place, fact in enumerate(facts) if fact.kind == "opened"]
    return _last_of(facts[: opened[-1]]) if opened else None


def _last_of(facts: Sequence[Fact]) -> Lived | None:
    opened = [place for place, fact in enumerate(facts) if fact.kind == "opened"]
    if not opened:
        return None
    since = tuple(facts[opened[-1] :])
    decided: list[Decided] = []
    for fact in since:
        if fact.kind == "decided":
            decided.append(_decided(fact))
        elif fact.kind == "ordered":  # it counts from the period that runs
            decided[-1] = _ordered(fact, decided[-1])
    return Lived(since[0], since, tuple(decided))


def body_of(fact: Decided) -> dict[str, Any]:
    """Return a decision as the ledger holds it."""
    made = {name: value for name, value in fact.fact().items() if name != "cutoff"}
    return made | {"vintage": of_vintage(fact.live)}


def of_vintage(vintage: Vintage) -> dict[str, Any]:
    """Return a vintage as the ledger holds it."""
    return {"fitted": vintage.fitted, "window": vintage.window, "updates": list(vintage.updates)}


def vintage_of(body: Mapping[str, Any]) -> Vintage:
    """Return the vintage that a ledger holds."""
    return Vintage(int(body["fitted"]), str(body["window"]), tuple(int(one) for one in body["updates"]))


def _decided(fact: Fact) -> Decided:
    body = fact.body
    return Decided(
        fact.cutoff, int(body["at"]), body["action"], vintage_of(body["vintage"]), body["reason"], body["price"]
    )


def _ordered(fact: Fact, before: Decided) -> Decided:
    """Return a decision as a person changed it: what was paid is paid."""
    live, price = vintage_of(fact.body["vintage"]), before.price + float(fact.body["price"])
    return replace(before, action="fall back", live=live, reason=str(fact.body["why"]), price=price)


def view_of(triangle: Triangle, state: State, cutoff: int) -> View:
    """Return what a rule sees at a cutoff."""
    app = triangle.survey.app
    return look(
        replace(state, deployed=tuple(one for one in state.deployed if one not in triangle.lost)),
        triangle,
        cutoff=cutoff,
        now=int(triangle.survey.grid.edges[cutoff]),
        windows=tuple(str(window) for window in app.windows),
        can_update=app.update is not None,
        prices=app.prices,
    )


def replayed(
    rule: Rule, triangle: Triangle, decided: Sequence[Decided], store: Store, rescues: Container[int] = ()
) -> State:
    """
    Return the state after some decisions, as they are recorded; what the rule remembers is rebuilt.

    The rule is asked again at every cutoff, and carries its memory on; what it says is not carried out. A memory that
    was kept after the same decisions of the same rule is read instead. Where a vintage stood in for one that was lost,
    the rule was not asked.
    """
    state, _ = begin(decided[0].live, decided[0].at)
    kept = store.get(key := _memory_key(rule, decided), "memory") is not None
    for fact in decided[1:]:
        memory = state.memory
        if not kept and fact.cutoff not in rescues:
            memory = rule.decide(view_of(triangle, state, fact.cutoff), state.memory).memory
        moved = fact.live != state.live
        state = State(
            fact.live,
            fact.cutoff if moved else state.since,
            (*state.deployed, fact.live) if moved else state.deployed,
            memory,
        )
    if not kept:
        return state
    return State(state.live, state.since, state.deployed, pickle.loads(store.payload(key, "memory").read_bytes()))


def keep_memory(rule: Rule, decided: Sequence[Decided], memory: Any, store: Store) -> None:
    """Keep what a rule remembers after some decisions."""
    payload = cloudpickle.dumps(memory)
    store.put(_memory_key(rule, decided), "memory", lambda file: file.write(payload))


def move_memory(rule: Rule, before: Sequence[Decided], after: Sequence[Decided], store: Store) -> None:
    """Keep for decisions as a person changed them what the rule remembers after its own."""
    if store.get(key := _memory_key(rule, before), "memory") is not None:
        payload = store.payload(key, "memory").read_bytes()
        store.put(_memory_key(rule, after), "memory", lambda file: file.write(payload))


def drop_memory(rule: Rule, decided: Sequence[Decided], store: Store) -> None:
    """Remove what a rule remembered before the last decision, once that is written down."""
    if len(decided) > 1:
        store.drop(_memory_key(rule, decided[:-1]), "memory")


def _memory_key(rule: Rule, decided: Sequence[Decided]) -> str:
    return digest("memory 1", fingerprint(rule), [repr(one) for one in decided])
