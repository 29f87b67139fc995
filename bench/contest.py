"""
Cost of retraining rules as a ratio to the best decisions in hindsight.

Cells: every history of `histories.py` at three prices of a retrain, chosen beforehand: 5, 20 and 50 per
cent of the mean total loss of a period when always retrained. A ratio is the cost of a rule (losses and
retrains) over that of the clairvoyant path through the same triangle; 1 cannot be beaten. The schedules
were chosen beforehand; "best schedule" is the cheapest of them in each cell, chosen in hindsight.

How RetrainOpt takes part. Its planner gets the losses of the first third of the history, as far as they
are known when that ends, in money (mean known loss x rows), and the same price of a retrain; the base
policy is made of its exact plan, the learned policy is fitted to the plan's decisions. Its loop sees the
labels of a step before it decides on that step. Here, as in production, a decision comes first: at a
cutoff the policies get the staleness of the newest period with known labels against the first known
period of the live vintage (its own definition), the sum of it, and the age. The learned policy is fitted
to states made in this same way, so that it meets in use what it was taught. It chooses when, not on how
much data: every vintage has all rows of the app's window. The comparison with it is over the last two
thirds, where every rule begins with the vintage fitted at the first cutoff of that part.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import histories
import numpy as np
import peers

import mlwild as wild
from mlwild.lives import first_vintage, fold
from mlwild.records import Keep, Prices, Retrain, Vintage
from mlwild.rules import BreakEven, Decision, Every, Never, Rule, View
from mlwild.sheet.contest import oracle_costs
from mlwild.triangle import Triangle

SHARES = (0.05, 0.2, 0.5)
SCHEDULES: tuple[Rule, ...] = (Never(), *(Every(periods) for periods in (1, 2, 3, 4, 6, 8, 12, 16, 24)))
OURS = BreakEven()
BEST = "best schedule"
RIVALS = ("RetrainOpt base", "RetrainOpt learned")
CHARGED = 0.05


@dataclass
class Cell:
    """One history at one price over one span: what each rule cost."""

    history: str
    share: float
    optimum: float
    fair: float
    moves: int
    costs: dict[str, float] = field(default_factory=dict)
    best: str = ""

    def ratio(self, rule: str) -> float:
        """Return a rule's cost over the optimum's."""
        return self.costs[rule] / self.optimum


# -- RetrainOpt as a rule --------------------------------------------------------------------------


def staleness_state(view: View, scale: float) -> list[float]:
    """Return step, staleness of the newest known period, its sum, and age, as RetrainOpt defines them."""
    total, weight = (series[view.since :] for series in view.losses(view.live))
    known = weight > 0
    rises = scale * (total[known] / weight[known])
    rises = rises - rises[0] if len(rises) else np.zeros(1)
    return [view.cutoff, float(rises[-1]), float(rises.sum()), view.cutoff - view.since]


@dataclass(frozen=True)
class Asked:
    """A rule whose decisions somebody else takes, from the state alone."""

    name: str
    scale: float
    answer: Callable[[list[float]], bool]

    def decide(self, view: View, memory: Any) -> Decision:
        """Ask."""
        return Decision(Retrain() if self.answer(staleness_state(view, self.scale)) else Keep())


def known_losses(triangle: Triangle, start: int, end: int) -> list[list[float]]:
    """Return the losses of vintages in periods from `start`, in money, as far as known at cutoff `end`."""
    window = str(triangle.survey.app.windows[0])
    rows = triangle.survey.grid.rows[start:end]
    losses = np.zeros((end - start, end - start))
    seen = np.zeros(end - start, dtype=bool)
    for place in range(end - start):
        vintage = triangle.freshest(window, start + place)
        assert vintage
        total, weight = (series[start:] for series in triangle.totals(vintage, end))
        known = weight > 0
        losses[place, known] = rows[known] * total[known] / weight[known]
        seen |= known
    length = int(np.flatnonzero(seen)[-1]) + 1
    return losses[:length, :length].tolist()


def retrainopt(peer: peers.Peer, triangle: Triangle, start: Vintage, end: int, price: float) -> list[Rule]:
    """Tune both policies on the periods from `start` to cutoff `end`, and return them as rules."""
    plan = peer.ask(losses=known_losses(triangle, start.cutoff, end), price=price)
    scale = float(triangle.survey.grid.rows[start.cutoff : end].mean())
    states: list[list[float]] = []

    def teach(state: list[float]) -> bool:
        place = int(state[0]) - start.cutoff
        if place >= len(plan):
            return False
        states.append(state)
        return bool(plan[place])

    fold(Asked("plan", scale, teach), triangle, start)
    peer.ask(states=states, retrains=plan[1 : len(states) + 1])

    def answers(policy: str) -> Callable[[list[float]], bool]:
        return lambda state: bool(peer.ask(policy=policy, state=state))

    return [Asked(RIVALS[0], scale, answers("base")), Asked(RIVALS[1], scale, answers("learned"))]


# -- pricing ---------------------------------------------------------------------------------------


def at_prices(triangle: Triangle, prices: Prices) -> Triangle:
    """Return the same triangle in an app with other prices; nothing is fitted or read again."""
    return replace(triangle, survey=replace(triangle.survey, app=replace(triangle.survey.app, prices=prices)))


def cost(rule: Rule, triangle: Triangle, start: Vintage) -> float:
    """Return what a rule costs over a triangle."""
    return float(fold(rule, triangle, start).cost(triangle.survey.app.prices).sum())


def measure(triangle: Triangle, start: Vintage, share: float, rules: Sequence[Rule]) -> Cell:
    """Price rules and the best decisions in hindsight from a vintage on."""
    prices = triangle.survey.app.prices
    assert prices
    optimum, fair, moves, _ = oracle_costs(triangle, start, prices)
    cell = Cell(triangle.survey.app.name, share, optimum, float(fair.sum()), moves)
    cell.costs = {rule.name: cost(rule, triangle, start) for rule in (OURS, *SCHEDULES, *rules)}
    cell.best = min((rule.name for rule in SCHEDULES), key=lambda name: cell.costs[name])
    cell.costs[BEST] = cell.costs[cell.best]
    charged = at_prices(triangle, replace(prices, shadow=CHARGED * prices.retrain))
    for rule in (OURS, BreakEven(shadow_every=4)):
        cell.costs[f"{rule.name}, shadow fits charged"] = cost(rule, charged, start)
    return cell


def period_loss(triangle: Triangle, start: Vintage) -> float:
    """Return the mean total loss of a period when always retrained."""
    return float(fold(Every(1), triangle, start).loss.mean())


def cells_of(history: histories.History, store: Path, peer: peers.Peer | None) -> tuple[list[Cell], list[Cell]]:
    """Return a history's cells: over the whole of it, and over its last two thirds with the rival."""
    unpriced = wild.rehearse(history.app(), rules=[Never()], store=store).triangles[0]
    start = first_vintage(unpriced)
    assert start
    end = start.cutoff + -(-(unpriced.survey.grid.periods - start.cutoff) // 3)
    later = unpriced.freshest(start.window, end)
    assert later == Vintage(end, start.window)
    unit = period_loss(unpriced, start)
    whole, last = [], []
    for share in SHARES:
        triangle = at_prices(unpriced, Prices(loss=1.0, retrain=share * unit))
        rivals = retrainopt(peer, triangle, start, end, share * unit) if peer else []
        whole.append(measure(triangle, start, share, []))
        last.append(measure(triangle, later, share, rivals))
    return whole, last


# -- tables ----------------------------------------------------------------------------------------


def tally(cells: Sequence[Cell], rule: str) -> str:
    """Say in how many cells break-even is cheaper than, as cheap as, and dearer than a rule."""
    gaps = np.array([cell.ratio(rule) - cell.ratio(OURS.name) for cell in cells])
    return f"{(gaps > 1e-9).sum():4d} {(abs(gaps) <= 1e-9).sum():4d} {(gaps < -1e-9).sum():4d}"


def by_rule(cells: Sequence[Cell], title: str) -> None:
    """Print mean, median and worst ratio of every rule, and how it fares against break-even."""
    print(f"\n{title}: {len(cells)} cells; cost over that of the best decisions in hindsight")
    print(f"{'rule':42}{'mean':>7}{'median':>8}{'worst':>7}   break-even is cheaper, same, dearer in")
    rows = {rule: np.array([cell.ratio(rule) for cell in cells]) for rule in cells[0].costs}
    for rule, ratios in sorted(rows.items(), key=lambda row: row[1].mean()):
        beaten = "" if rule.startswith(OURS.name) else tally(cells, rule)
        print(f"{rule:42}{ratios.mean():7.3f}{np.median(ratios):8.3f}{ratios.max():7.2f}   {beaten}")
    floor = np.array([cell.fair / cell.optimum for cell in cells])
    print(f"{'(optimum, cross-fitted)':42}{floor.mean():7.3f}{np.median(floor):8.3f}{floor.max():7.2f}")


def by_cell(cells: Sequence[Cell], title: str) -> None:
    """Print one row a cell."""
    rivals = [rule for rule in RIVALS if rule in cells[0].costs]
    columns = [OURS.name, "always", "never", *rivals]
    print(f"\n{title}, cell by cell; price: share of a period's loss; moves: retrains of the optimum;")
    print("fair: break-even over the cross-fitted optimum")
    heads = "".join(f"{name.replace('RetrainOpt', 'RO'):>12}" for name in columns)
    print(f"{'history':18}{'price':>6}{'moves':>6}{heads}{'fair':>8}  best schedule")
    for cell in cells:
        ratios = "".join(f"{cell.ratio(name):12.3f}" for name in columns)
        fair = cell.costs[OURS.name] / cell.fair
        best = f"{cell.ratio(BEST):.3f} ({cell.best})"
        print(f"{cell.history:18}{cell.share:6g}{cell.moves:6d}{ratios}{fair:8.3f}  {best}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=histories.CHECKOUT / "bench" / ".mlwild")
    store = parser.parse_args().store
    peer = peers.peer("retrainopt", "retrainopt_policies.py")
    whole: list[Cell] = []
    last: list[Cell] = []
    for history in histories.available():
        first, second = cells_of(history, store, peer)
        whole, last = whole + first, last + second
    if peer:
        peer.close()
    by_rule(whole, "Whole history")
    by_rule(last, "Last two thirds (RetrainOpt is tuned on the first third)")
    by_cell(whole, "Whole history")
    by_cell(last, "Last two thirds")


if __name__ == "__main__":
    main()
