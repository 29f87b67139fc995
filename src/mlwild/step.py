"""One step of a model's life: a view goes in, a new state and dated facts come out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from mlwild.records import Decided, FallBack, Prices, Retrain, Update, Vintage
from mlwild.rules.view import Curtain, Known, Rule, View


@dataclass(frozen=True)
class State:
    """
    All that is carried from one cutoff to the next.

    Parameters
    ----------
    live : Vintage
        What is in place.
    since : int
        Cutoff at which it was put in place.
    deployed : tuple of Vintage
        All that were ever in place, in order.
    memory : object
        What the rule remembers.
    """

    live: Vintage
    since: int
    deployed: tuple[Vintage, ...]
    memory: Any = None


def begin(vintage: Vintage, at: int) -> tuple[State, Decided]:
    """Put the first vintage in place; it costs the same under every rule, so it has no price here."""
    state = State(vintage, vintage.cutoff, (vintage,))
    return state, Decided(vintage.cutoff, at, "start", vintage, "the first vintage that could be made", 0.0)


def look(
    state: State,
    known: Known,
    *,
    cutoff: int,
    now: int,
    windows: tuple[str, ...],
    can_update: bool,
    prices: Prices | None,
) -> View:
    """Return what a rule may see at a cutoff."""
    return View(
        cutoff, now, state.live, state.since, state.deployed, windows, can_update, prices, Curtain(cutoff, known)
    )


def step(rule: Rule, state: State, view: View) -> tuple[State, Decided]:
    """
    Let a rule decide at a cutoff, and carry the decision out.

    A retrain or update whose model could not be made is refused: the live vintage stays.

    Parameters
    ----------
    rule : Rule
    state : State
    view : View

    Returns
    -------
    state : State
        As from this cutoff on.
    fact : Decided
        What was decided, why, and what it cost.
    """
    decision = rule.decide(view, state.memory)
    action, prices = decision.action, view.prices
    shadow = prices.shadow * decision.shadows if prices else 0.0
    name: str = action.name
    live, price, reason = state.live, 0.0, decision.reason
    if isinstance(action, Retrain):
        live = Vintage(view.cutoff, str(action.window or view.windows[0]))
        price = prices.retrain if prices else 0.0
        # The challenger that was compared is the one that goes live: it is not fitted twice.
        shadow = max(shadow - (prices.shadow if prices else 0.0), 0.0)
    elif isinstance(action, Update):
        live = state.live.updated(view.cutoff)
        price = prices.update_price if prices else 0.0
    elif isinstance(action, FallBack):
        live = action.vintage
        price = prices.rollback if prices else 0.0
        if live not in state.deployed:
            live, name, price, reason = state.live, "refused", 0.0, f"vintage {live} was never in place"
    if isinstance(action, Update) and not view.can_update:
        live, name, price, reason = state.live, "refused", 0.0, "the app does not say how to update"
    elif live != state.live and not view.known.usable(live):
        live, name, price, reason = state.live, "refused", 0.0, f"vintage {live} could not be made"
    moved = live != state.live
    after = State(
        live,
        view.cutoff if moved else state.since,
        (*state.deployed, live) if moved else state.deployed,
        decision.memory,
    )
    return after, Decided(view.cutoff, view.now, name, live, reason, price + shadow)


def refuse(state: State, after: State, fact: Decided, why: str) -> tuple[State, Decided]:
    """
    Take back a decision whose model did not pass: what was live stays, and what was paid is paid.

    Parameters
    ----------
    state, after : State
        Before and after the decision.
    fact : Decided
    why : str

    Returns
    -------
    state : State
        The rule remembers that it decided.
    fact : Decided
    """
    stays = State(state.live, state.since, state.deployed, after.memory)
    return stays, replace(fact, action="refused", live=state.live, reason=why)
