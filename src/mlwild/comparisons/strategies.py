"""Strategies and their returns: the best of many tries, judged by how many were tried."""

from __future__ import annotations

import math

import numpy as np

from mlwild.comparisons.answer import Comparison, Record, model_record
from mlwild.comparisons.given import Losses, Strategies
from mlwild.comparisons.ordered import in_time
from mlwild.comparisons.sentences import twins
from mlwild.errors import DataError
from mlwild.stats.bootstrap import mean_interval
from mlwild.stats.overfitting import backtest_overfitting_interval
from mlwild.stats.sharpe import deflated_sharpe
from mlwild.wording import between, count, number


def strategies(given: Strategies, level: float) -> Comparison:
    """
    Judge the best of several strategies by its deflated Sharpe ratio and the chance of overfitting.

    It is called best where its true Sharpe ratio is above what luck gives the best of so many tries,
    and no other strategy is as good for all that can be told (confidence set of risk-adjusted returns).
    """
    names, returns, n = list(given.names), given.returns, len(given.returns)
    if n < 3:
        raise DataError(f"returns: {n} periods are too few for a Sharpe ratio; give three at least.")
    spread = returns.std(axis=0, ddof=1)
    ratios = returns.mean(axis=0) / spread
    leader, tries = int(ratios.argmax()), given.tries or len(names)
    deflated = deflated_sharpe(returns[:, leader], ratios, tries=tries)
    method = "deflated Sharpe ratio, probability of backtest overfitting"
    why = (
        f"the best of {count(tries)} tries looks good by luck alone: its Sharpe ratio is held against the best that "
        "such luck gives"
    )
    good = deflated.probability >= level
    kept: tuple[str, ...] = (names[leader],)
    if len(names) > 1:
        alike = in_time(Losses(names, -returns / spread, unit="period"), level)
        kept = tuple(name for name in names if name in alike.best_set or name == names[leader])
    best = names[leader] if good and len(kept) == 1 else None
    said = [_verdict(names[leader], deflated.probability, kept, level, tries)]
    said.append(
        f"Its Sharpe ratio is {number(deflated.sharpe, 3)} a period; luck gives the best of {count(tries)} tries "
        f"{number(deflated.threshold, 3)}."
    )
    said += [
        f"{names[i]!r} and {names[j]!r} have the same return in every period: these may be one strategy."
        for i, j in twins(returns)[:3]
    ]
    tables: dict[str, Record] = {
        "deflated": {
            "name": names[leader],
            "probability": deflated.probability,
            "sharpe": deflated.sharpe,
            "threshold": deflated.threshold,
            "tries": deflated.tries,
            "n": deflated.n,
        }
    }
    if len(names) > 1:
        chance = backtest_overfitting_interval(-returns, level=level)
        tables["overfitting"] = {"estimate": chance.estimate, "low": chance.low, "high": chance.high, "n": chance.n}
        if math.isfinite(chance.estimate):
            said.append(
                f"Chance that the best on one half of the history is below the median on the other: "
                f"{number(chance.estimate, 2)} ({between(chance.low, chance.high, 2)}); a weak instrument."
            )
    records = []
    for place in np.argsort(-ratios, kind="stable"):
        own = mean_interval(returns[:, place], level=level)
        bounds = (float(ratios[place]), own.low / spread[place], own.high / spread[place])
        more = {"better": "greater", "difference": float(ratios[place] - ratios[0])}
        made = model_record(names[place], bounds, n, (method, why), kept, **more)
        records.append(made | {"interval": "block bootstrap of the mean return"})
    return Comparison(method, why, level, n, best, kept, tuple(records), (), tuple(said), tables=tables)


def _verdict(leader: str, probability: float, kept: tuple[str, ...], level: float, tries: int) -> str:
    shown = f"{probability:.0%}" if probability < 0.995 else "over 99%"
    if probability < level:
        return (
            f"No strategy is shown to have skill: the best, {leader!r}, beats the luck of {count(tries)} tries with a "
            f"chance of {shown} only; {level:.0%} is asked for."
        )
    if len(kept) > 1:
        return (
            f"{leader!r} beats the luck of {count(tries)} tries (chance {shown}), but {len(kept) - 1} other"
            f"{'s' if len(kept) > 2 else ''} cannot be told from it: no clear best."
        )
    return f"{leader!r} is the best: it beats the luck of {count(tries)} tries with a chance of {shown}."
