"""Lives: rules folded over a triangle, what they cost, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.app import App
from mlwild.records import Decided, Prices, Vintage
from mlwild.rules import DEFAULT, Rule
from mlwild.rules.view import Floats, View
from mlwild.stats.rivals import lead_by_chance
from mlwild.step import begin, look, step
from mlwild.triangle import Triangle

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Life:
    """
    What a rule did over a history.

    Parameters
    ----------
    rule : str
    facts : tuple of Decided
        One a cutoff, from the first vintage on.
    live : tuple of Vintage
        What was in place in each period, from `first` on.
    first : int
        First period with a vintage.
    loss, weight : ndarray of shape (n_periods - first,)
        Total loss and weight of rows of each period, over all labels that ever arrived.
    paid : ndarray of shape (n_periods - first,)
        Price of the action at each period's cutoff.
    """

    rule: str
    facts: tuple[Decided, ...]
    live: tuple[Vintage, ...]
    first: int
    loss: Floats
    weight: Floats
    paid: Floats

    @property
    def retrains(self) -> int:
        """Number of retrains after the first fit."""
        return sum(fact.action == "retrain" for fact in self.facts)

    @property
    def updates(self) -> int:
        """Number of updates."""
        return sum(fact.action == "update" for fact in self.facts)

    @property
    def mean_loss(self) -> float:
        """Mean loss of an event."""
        weight = self.weight.sum()
        return float(self.loss.sum() / weight) if weight else float("nan")

    def cost(self, prices: Prices | None) -> Floats:
        """Return the cost of each period; the total loss where there are no prices."""
        return self.loss if prices is None else prices.loss * self.loss + self.paid


def first_vintage(triangle: Triangle) -> Vintage | None:
    """Return the first vintage that could be made with the first window."""
    return next(
        (
            vintage
            for k in range(triangle.survey.grid.periods)
            if (vintage := Vintage(k, str(triangle.survey.app.windows[0]))) in triangle.scores
        ),
        None,
    )


class _Fold:
    """A life on its way through a triangle; `advance` takes one cutoff."""

    def __init__(self, triangle: Triangle, start: Vintage) -> None:
        self.triangle = triangle
        self.edges = triangle.survey.grid.edges
        self.state, fact = begin(start, int(self.edges[start.cutoff]))
        self.facts, self.live = [fact], [start]

    def view(self, k: int) -> View:
        app = self.triangle.survey.app
        return look(
            self.state,
            self.triangle,
            cutoff=k,
            now=int(self.edges[k]),
            windows=tuple(str(window) for window in app.windows),
            can_update=app.update is not None,
            prices=app.prices,
        )

    def advance(self, k: int, rule: Rule, memory: object) -> None:
        self.state, fact = step(rule, replace(self.state, memory=memory), self.view(k))
        self.facts.append(fact)
        self.live.append(self.state.live)


def _finish(fold: _Fold, name: str) -> Life:
    triangle, first = fold.triangle, fold.facts[0].cutoff
    periods = np.arange(first, triangle.survey.grid.periods)
    used = list(dict.fromkeys(fold.live))
    total, weight = triangle.matrix(used)
    at = np.array([used.index(vintage) for vintage in fold.live])
    return Life(
        rule=name,
        facts=tuple(fold.facts),
        live=tuple(fold.live),
        first=first,
        loss=total[at, periods],
        weight=weight[at, periods],
        paid=np.array([fact.price for fact in fold.facts]),
    )


def fold(rule: Rule, triangle: Triangle, start: Vintage) -> Life:
    """Return the life that a rule leads over a triangle."""
    made = _Fold(triangle, start)
    for k in range(start.cutoff + 1, triangle.survey.grid.periods):
        made.advance(k, rule, made.state.memory)
    return _finish(made, rule.name)


def led(recommended: str | None, lives: Mapping[str, Sequence[Life]]) -> Life:
    """Return the life of the rule that is recommended, first seed; of the default rule where none is."""
    named = recommended if recommended is not None and recommended in lives else DEFAULT.name
    return lives[named if named in lives else next(iter(lives))][0]


def _known_costs(lives: Sequence[Life], triangle: Triangle) -> Floats:
    """
    Return what each life was known to have cost, period by period of knowing.

    Returns
    -------
    ndarray of shape (n_lives, n_periods)
        Entry [r, k]: what became known of rule r's cost between cutoffs k - 1 and k.
    """
    prices, grid = triangle.survey.app.prices, triangle.survey.grid
    value = 1.0 if prices is None else prices.loss
    known = np.zeros((len(lives), grid.periods))
    opens = np.ones(len(grid.cell_period), dtype=bool)
    opens[1:] = grid.cell_period[1:] != grid.cell_period[:-1]
    # How much each cell added to what was known of its period.
    added = {
        vintage: np.where(opens, made.total, np.diff(made.total, prepend=0.0))
        for vintage, made in triangle.scores.items()
    }
    inside = grid.cell_arrival < grid.periods
    for row, life in enumerate(lives):
        for place, vintage in enumerate(life.live):
            low, high = np.searchsorted(grid.cell_period, [life.first + place, life.first + place + 1])
            cells = np.arange(low, high)[inside[low:high]]
            np.add.at(known[row], grid.cell_arrival[cells], value * added[vintage][cells])
        known[row, life.first : life.first + len(life.paid)] += life.paid
    return known


def choose_as_you_go(rules: Sequence[Rule], lives: Sequence[Life], triangle: Triangle, start: Vintage) -> Life:
    """
    Return the life of one who chooses among the rules at each cutoff, from the past alone.

    It begins with break-even (the first rule if that is not among them). At each cutoff every rule
    has the cost that is known by then; the leader takes over when its advantage over the one in
    charge exceeds a retrain and chance: Student's bound on the sum of the differences by period, at
    5 % shared among all rivals and all looks, and never before eight periods. Knowing what rivals
    would have cost takes a fit at every cutoff, which is paid as a shadow.

    References
    ----------
    .. [1] Tashman, L. J. (2000). Out-of-sample tests of forecasting accuracy. International Journal
       of Forecasting, 16(4), 437-450 (choosing as one goes is rolling-origin evaluation).
    """
    known = _known_costs(lives, triangle)
    prices = triangle.survey.app.prices
    bar = prices.retrain if prices else 0.0
    charge = next((place for place, rule in enumerate(rules) if rule == DEFAULT), 0)
    made = _Fold(triangle, start)
    memories = [made.state.memory for _ in rules]
    for k in range(start.cutoff + 1, triangle.survey.grid.periods):
        # What became known at cutoff k comes with the view of k; prices of k are not yet paid.
        past = known[:, : k + 1].copy()
        past[:, k] -= [life.paid[k - life.first] for life in lives]
        gaps = past[charge] - past
        saved = gaps.sum(axis=1)
        worthy = np.flatnonzero(saved > bar + lead_by_chance(gaps[:, start.cutoff + 1 :]))
        if len(worthy):
            charge = int(worthy[np.argmax(saved[worthy])])
        view = made.view(k)
        remembered = memories[charge]
        # Every rule looks at what is really in place, so that it knows its way when it takes over.
        memories = [rule.decide(view, memory).memory for rule, memory in zip(rules, memories, strict=True)]
        made.advance(k, rules[charge], remembered)
        made.facts[-1] = _with_comparisons(made.facts[-1], triangle.survey.app)
    return _finish(made, rules[charge].name)


def _with_comparisons(fact: Decided, app: App) -> Decided:
    """Charge the fits that rivals are compared by: one a window at each cutoff, less the one that went live."""
    if app.prices is None or not app.prices.shadow:
        return fact
    fits = len(app.windows) - (fact.action == "retrain")
    live = app.prices.retrain if fact.action == "retrain" else 0.0
    return replace(fact, price=max(fact.price, live + fits * app.prices.shadow))
