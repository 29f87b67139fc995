"""Agents over runs and tasks: aggregates, whether the ways to add up agree, and what one seed delivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Comparison, Record, listed, model_record
from mlwild.comparisons.given import Runs
from mlwild.comparisons.signs import sign_record, way
from mlwild.errors import DataError
from mlwild.stats.bootstrap import Interval
from mlwild.stats.run_draws import METRICS
from mlwild.stats.runs import (
    SignTable,
    aggregate,
    aggregate_intervals,
    performance_profile,
    probability_of_improvement,
    sign_table,
)
from mlwild.stats.seeds import lower_tail_mean, one_seed_spread, seeds_needed
from mlwild.wording import between, count, number

Floats = NDArray[np.float64]

#: Worst share of seeds whose mean is shown: one seed goes into production, not the mean of all.
TAIL = 0.25
#: Sizes of scores of two tasks further apart than this are not added up without a word.
UNLIKE = 20.0


def agents(given: Runs, level: float) -> Comparison:
    """
    Compare agents by runs and tasks.

    The set of the best holds the one with the highest interquartile mean (IQM), all whose IQM cannot
    be told from that, and all that some other way of adding up prefers to it.
    """
    names, scores = list(given.scores), given.scores
    single = [name for name in names if len(scores[name]) < 2]
    if single:
        raise DataError(f"scores: {single[0]!r} has one run, which shows no spread. Give two runs (seeds) at least.")
    found = {name: aggregate_intervals(scores[name], level=level) for name in names}
    order = sorted(names, key=lambda name: -found[name]["iqm"].estimate)
    leader, runs = order[0], min(len(scores[name]) for name in names)
    tries = len(names) - 1
    joint = 1 - (1 - level) / tries
    signs = {name: sign_table(scores[leader], scores[name], level=joint) for name in order[1:]}
    still = [name for name in names if not np.ptp(scores[name], axis=0).any()]
    # Where no run differs from another of its side there is no spread to judge a difference by.
    unjudged = set(still) if leader in still else set()
    kept = [leader, *(name for name, table in signs.items() if table.best != "a" or name in unjudged)]
    best = leader if len(kept) == 1 else None
    method = "interquartile mean, stratified bootstrap, sign table"
    tasks = next(iter(scores.values())).shape[1]
    why = (
        f"{len(names)} agents, {count(runs)} runs or more of each of {count(tasks)} task{'s' if tasks > 1 else ''}: "
        "the run is the unit; the interquartile mean is neither ruled by a few tasks nor blind to most; all ways of "
        "adding up must agree before one is called best"
    )
    pairs = tuple(_pair(scores, (leader, name), table, joint, runs) for name, table in signs.items())
    twins = [name for name in order[1:] if np.array_equal(scores[leader], scores[name])]
    settle = [pair for pair in pairs if pair["b"] not in {*twins, *unjudged}]
    said = [_verdict(best, kept, signs, names, level), *_decides(leader, signs, kept), *_settle(settle, kept)]
    said += [f"{leader!r} and {name!r} have the same score in every run: these may be one agent." for name in twins]
    if still:
        said.append(
            f"No run of {listed(still, most=5)} differs from another of its task: was the seed used? Without spread a "
            "difference cannot be judged."
        )
    said += _unlike(given)
    by = (method, why)
    gaps = _from_first(names, scores, leader, signs, joint)
    records = tuple(_record(name, scores[name], found[name]["iqm"], by, kept, gaps) for name in order)
    shown = {"level": level, "n": runs, "unit": "run", "better": "greater"}
    tables = {
        "aggregates": [_aggregates(name, found[name]) for name in order],
        "signs": [sign_record(leader, name, table) | shown for name, table in signs.items()],
        "profiles": _profiles(scores, order, level),
    }
    return Comparison(method, why, level, runs, best, tuple(kept), records, pairs, tuple(said), tables=tables)


def _verdict(best: str | None, kept: list[str], signs: Mapping[str, SignTable], names: list[str], level: float) -> str:
    of = len(names)
    if best:
        return f"{best!r} is the best of {of}, whichever way runs and tasks are added up ({level:.0%})."
    alike = [name for name in kept[1:] if not signs[name].rows[0].separable or signs[name].best == "a"]
    rest = f"; the other {of - len(kept)} are worse" if of - len(kept) > 1 else ""
    rest = f"; {listed([name for name in names if name not in kept])} is worse" if of - len(kept) == 1 else rest
    if alike:
        together = listed([kept[0], *alike], most=8)
        return f"No clear best: {together} cannot be told apart{rest} ({level:.0%})."
    return (
        f"No clear best: {kept[0]!r} has the highest interquartile mean, but not by every way of adding up{rest} "
        f"({level:.0%})."
    )


def _decides(leader: str, signs: Mapping[str, SignTable], kept: Sequence[str]) -> list[str]:
    made = []
    for name, table in signs.items():
        if name in kept and table.deciding:
            words = [way(metric) for metric in table.deciding]
            shown = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
            verb = "does" if len(words) == 1 else "do"
            favoured = leader if table.rows[0].favours == "a" else name
            made.append(
                f"The choice of metric decides between {leader!r} and {name!r}: the interquartile mean favours "
                f"{favoured!r}; {shown} {verb} not."
            )
    return made


def _settle(pairs: Sequence[Record], kept: Sequence[str]) -> list[str]:
    made = []
    for pair in pairs:
        if pair["b"] in kept and not pair["separable"]:
            seen = f"{number(pair['estimate'], 2)} ({between(pair['low'], pair['high'], 2)})"
            if pair["seeds_needed"] is None or pair["seeds_needed"] > 1000 * pair["n"]:
                made.append(
                    f"No number of seeds in reach tells {pair['a']!r} from {pair['b']!r}, which differ by {seen}."
                )
            else:
                made.append(
                    f"To tell {pair['a']!r} from {pair['b']!r} if they differ as seen, by {seen}, takes about "
                    f"{count(pair['seeds_needed'])} seeds a side; there are {count(pair['n'])}."
                )
    return made


def _unlike(given: Runs) -> list[str]:
    """Say so where scores of one task swamp those of another."""
    whole = np.concatenate(list(given.scores.values()))
    ratio = unlike_sizes(np.median(np.abs(whole), axis=0))
    if ratio < UNLIKE:
        return []
    return [
        (
            f"Scores of one task are {count(ratio)} times as large as those of another: means over "
            "tasks then speak of the large one. Normalise by task first."
        )
    ]


def unlike_sizes(sizes: Floats) -> float:
    """
    Return how many times as large the scores of large tasks are as those of small ones.

    By the quartiles of the tasks: with few of them the largest and the least.

    Examples
    --------
    >>> unlike_sizes(np.array([2.0, 200.0]))
    100.0
    """
    some = sizes[sizes > 0]
    if len(some) < 2:
        return 1.0
    return float(np.quantile(some, 0.75, method="higher") / np.quantile(some, 0.25, method="lower"))


def _pair(scores: Mapping[str, Floats], pair: tuple[str, str], table: SignTable, level: float, runs: int) -> Record:
    a, b = pair
    iqm = table.rows[0]
    wins = probability_of_improvement(scores[a], scores[b], level=level)
    gap = abs(iqm.difference.estimate)
    needed = seeds_needed(one_seed_spread(scores[a], scores[b]), gap, level=level) if gap > 0 else None
    return {
        "a": a,
        "b": b,
        "estimate": iqm.difference.estimate,
        "low": iqm.difference.low,
        "high": iqm.difference.high,
        "p": None,
        "n": runs,
        "method": "difference of interquartile means, stratified bootstrap",
        "why": "above zero: the first is better",
        "separable": iqm.separable,
        "probability_of_improvement": wins.estimate,
        "probability_low": wins.low,
        "probability_high": wins.high,
        "seeds_needed": needed,
    }


def _from_first(
    names: Sequence[str], scores: Mapping[str, Floats], leader: str, signs: Mapping[str, SignTable], level: float
) -> dict[str, Interval]:
    """Return each agent's IQM less that of the first-named, as in the sign tables where there is one."""
    first = names[0]
    made = {first: Interval(0.0, 0.0, 0.0, level, 0)}
    for name in names[1:]:
        if first == leader:
            gap = signs[name].rows[0].difference
            made[name] = Interval(-gap.estimate, -gap.high, -gap.low, level, gap.n)
        else:
            made[name] = sign_table(scores[name], scores[first], level=level).rows[0].difference
    return made


def _record(
    name: str, table: Floats, iqm: Interval, by: tuple[str, str], kept: Sequence[str], gaps: Mapping[str, Interval]
) -> Record:
    gap = gaps[name]
    more = {"difference": gap.estimate, "difference_low": gap.low, "difference_high": gap.high}
    made = model_record(name, (iqm.estimate, iqm.low, iqm.high), len(table), by, kept, **more)
    return made | {"better": "greater", "worst_seeds": lower_tail_mean(seed_scores(table), TAIL), "worst_share": TAIL}


def seed_scores(table: Floats) -> Floats:
    """Return the interquartile mean over tasks of each run, shape (n_runs,)."""
    return np.array([aggregate(run[None, :]) for run in table])


def _aggregates(name: str, found: Mapping[str, Interval]) -> Record:
    return {"name": name} | {
        metric: {"estimate": found[metric].estimate, "low": found[metric].low, "high": found[metric].high}
        for metric in METRICS
    }


def _profiles(scores: Mapping[str, Floats], order: Sequence[str], level: float) -> list[Record]:
    """Return the share of scores above each of some thresholds, by agent."""
    pool = np.concatenate([table.ravel() for table in scores.values()])
    thresholds = np.unique(np.quantile(pool, np.linspace(0.02, 0.98, 25)))
    made = []
    for name in order:
        profile = performance_profile(scores[name], thresholds, level=level, reps=500)
        made.append(
            {
                "name": name,
                "threshold": profile.thresholds.tolist(),
                "share": profile.share.tolist(),
                "low": profile.low.tolist(),
                "high": profile.high.tolist(),
            }
        )
    return made
