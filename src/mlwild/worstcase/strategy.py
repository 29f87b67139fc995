"""The worst case of a strategy: drawdowns, tails, windows, regimes and starts, under every scenario."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.stats.drawdown import Drawdown, NextDrawdown, drawdown, next_drawdown
from mlwild.stats.regimes import regimes
from mlwild.stats.sharpe import DeflatedSharpe, deflated_sharpe
from mlwild.stats.tail_risk import cvar_interval
from mlwild.trading import Book, Trading

Floats = NDArray[np.float64]

#: Share of bars in the tail; share of bars without news in that scenario; confidence of bounds.
TAIL, DARK, LEVEL = 0.05, 0.1, 0.95
#: Fewest bars that a strategy is judged on.
FEWEST = 60


@dataclass(frozen=True)
class Traded:
    """
    What a strategy did under one scenario.

    Parameters
    ----------
    scenario : str
    annual, volatility, sharpe : float
        Of a year.
    drawdown : Drawdown
    tail : float
        Mean loss on the worst 5 % of bars.
    bars : int
    """

    scenario: str
    annual: float
    volatility: float
    sharpe: float
    drawdown: Drawdown
    tail: float
    bars: int


@dataclass(frozen=True)
class Window:
    """
    A stretch of bars.

    Parameters
    ----------
    first, last : int
        Bars.
    total : float
        Return over it, compounded.
    searched : int
        Stretches of that length.
    """

    first: int
    last: int
    total: float
    searched: int


@dataclass(frozen=True)
class Strategy:
    """
    A strategy's worst case.

    Parameters
    ----------
    name : str
    plain : Traded
        As it was.
    scenarios : tuple of Traded
        The deepest drawdown first.
    next : NextDrawdown
        Of a year.
    tail_low, tail_high : float
        90 % interval of the mean loss on the worst 5 % of bars.
    windows : dict of str to Window
        Worst year and worst month, where there are bars enough.
    by_regime : tuple of (str, Traded)
        By regime of the market, found from its months.
    starts : dict
        Over all months one could have begun in: the worst, middle and best return of the first year, the share that
        lost, and their number.
    deflated : DeflatedSharpe
    dates : dict of str to str
        When: "fall" from its peak to its lowest point, "recovered" (empty if it was not made good), "year" and "month"
        of the worst windows, "start" of the worst first year (empty if there was none).
    """

    name: str
    plain: Traded
    scenarios: tuple[Traded, ...]
    next: NextDrawdown
    tail_low: float
    tail_high: float
    windows: dict[str, Window]
    by_regime: tuple[tuple[str, Traded], ...]
    starts: dict[str, float]
    deflated: DeflatedSharpe
    dates: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def traded(scenario: str, returns: Floats, per_year: float) -> Traded:
    """Return what a series of net returns amounts to."""
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else math.nan
    annual = float(returns.mean() * per_year)
    volatility = spread * math.sqrt(per_year)
    tail = cvar_interval(-returns, TAIL, reps=2).estimate
    return Traded(
        scenario,
        annual,
        volatility,
        annual / volatility if volatility else math.nan,
        drawdown(returns),
        tail,
        len(returns),
    )


def scenarios_of(book: Book, seed: int = 0) -> dict[str, Book]:
    """Return the book under each scenario that applies to it."""
    made = {"volatility x2": book.louder(2.0)}
    if book.returns.shape[1] > 1:
        made["correlation to 1"] = book.as_one()
    if book.cost:
        made |= {"costs x2": book.dearer(2.0), "costs x5": book.dearer(5.0)}
    made["one bar late"] = book.later(1)
    made[f"no news on {DARK:.0%} of bars"] = book.without_feed(DARK, np.random.default_rng(seed))
    return made


def strategy_of(
    name: str,
    book: Book,
    trading: Trading,
    *,
    tried: Mapping[str, Floats],
    shown: Callable[[int], str] = str,
    seed: int = 0,
) -> Strategy:
    """
    Return the worst case of a strategy.

    Parameters
    ----------
    name : str
    book : Book
    trading : Trading
    tried : mapping of str to ndarray of shape (n_bars,)
        Net returns of every strategy of the app, this one among them: the Sharpe ratio is deflated by their number.
    shown : callable
        From the time of a bar to how it is written.
    seed : int

    Raises
    ------
    DataError
        If there are too few bars, or a return is not finite.
    """
    net, per_year = book.net(), trading.per_year
    if len(net) < FEWEST:
        raise DataError(f"trading: {len(net)} bars are too few for a worst case; need {FEWEST} at least.")
    under = [traded(scenario, other.net(), per_year) for scenario, other in scenarios_of(book, seed).items()]
    tail = cvar_interval(-net, TAIL, level=0.9, seed=seed)
    ratios = np.array([series.mean() / series.std(ddof=1) for series in tried.values() if np.ptp(series) > 0])
    year, month = max(round(per_year), 1), max(round(per_year / 12), 1)
    tries = max(len(ratios), trading.tries or 0)
    plain, starts = traded("as it was", net, per_year), _starts(net, month, year)
    spans = {"year": year, "month": month}
    windows = {name: worst_window(net, bars) for name, bars in spans.items() if bars <= len(net)}
    return Strategy(
        name=name,
        plain=plain,
        scenarios=tuple(sorted(under, key=lambda one: -one.drawdown.depth)),
        next=next_drawdown(net, horizon=year, level=LEVEL, seed=seed),
        tail_low=tail.low,
        tail_high=tail.high,
        windows=windows,
        by_regime=_by_regime(book, net, month, per_year),
        starts=starts,
        deflated=deflated_sharpe(net, ratios, tries=tries),
        dates=_dates(plain.drawdown, windows, starts, [shown(int(at)) for at in book.time]),
    )


def _dates(
    fall: Drawdown, windows: Mapping[str, Window], starts: Mapping[str, float], when: list[str]
) -> dict[str, str]:
    """Return when what is told of a strategy was."""
    back = fall.recovered
    made = {
        # A peak before the first bar is where it began.
        "fall": f"{when[max(fall.peak, 0)]} to {when[max(fall.trough, 0)]}",
        "recovered": "" if back is None else when[max(back, 0)],
        "start": when[int(starts["worst_from"])] if starts else "",
    }
    return made | {name: f"{when[one.first]} to {when[one.last]}" for name, one in windows.items()}


def worst_window(returns: Floats, bars: int) -> Window:
    """
    Return the stretch of so many bars with the least compounded return.

    Examples
    --------
    >>> found = worst_window(np.array([0.1, -0.1, -0.1, 0.2]), 2)
    >>> found.first, found.last, round(found.total, 4), found.searched
    (1, 2, -0.19, 3)
    """
    bars = min(bars, len(returns))
    logs = np.concatenate([[0.0], np.cumsum(np.log1p(returns))])
    totals = logs[bars:] - logs[:-bars]
    first = int(np.argmin(totals))
    return Window(first, first + bars - 1, float(np.expm1(totals[first])), len(totals))


def _by_regime(book: Book, net: Floats, month: int, per_year: float) -> tuple[tuple[str, Traded], ...]:
    """Return the strategy by regime of the market's months: their volatility and their return."""
    market = book.returns.mean(axis=1)
    months = len(market) // month
    if months < 12:
        return ()
    cut = market[: months * month].reshape(months, month)
    features = np.column_stack([np.log(cut.std(axis=1) + 1e-9), cut.mean(axis=1)])
    found = regimes(features, most=3)
    if found.number == 1:
        return ()
    names = ("calm", "wild") if found.number == 2 else ("calm", "middling", "wild")
    label = np.repeat(found.label, month)
    mine = net[: months * month]
    return tuple((name, traded(name, mine[label == kind], per_year)) for kind, name in enumerate(names))


def _starts(net: Floats, month: int, year: int) -> dict[str, float]:
    """Return how the first year would have gone from every month that has a year ahead."""
    logs = np.concatenate([[0.0], np.cumsum(np.log1p(net))])
    begins = np.arange(0, len(net) - year + 1, month)
    if not len(begins):
        return {}
    totals = np.expm1(logs[begins + year] - logs[begins])
    return {
        "worst": float(totals.min()),
        "worst_from": float(begins[int(np.argmin(totals))]),
        "middle": float(np.median(totals)),
        "best": float(totals.max()),
        "lost": float((totals < 0).mean()),
        "n": float(len(totals)),
    }
