"""Configurations over seeds, on one task: runs of their own, a few each."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Comparison, Record, listed, model_record
from mlwild.comparisons.given import Runs
from mlwild.comparisons.sentences import at_most, set_verdict
from mlwild.stats.paired import Difference
from mlwild.stats.seeds import lower_tail_mean, seeds_needed
from mlwild.stats.welch import welch
from mlwild.wording import between, count, number

Floats = NDArray[np.float64]

#: Worst share of seeds whose mean is shown.
TAIL = 0.25


def by_seed(given: Runs, level: float) -> Comparison:
    """Compare mean scores over seeds by Welch's t against the best, p-values times the number of tries."""
    scores = {name: table[:, 0] for name, table in given.scores.items()}
    names = list(scores)
    judged = [name for name in names if len(scores[name]) > 1]
    order = sorted(names, key=lambda name: -float(scores[name].mean()))
    runs = min(len(scores[name]) for name in names)
    most = max(len(scores[name]) for name in names)
    method = "Welch's t over seeds"
    each = "1 run" if most == 1 else f"{count(runs)} runs" if runs == most else f"{count(runs)} to {count(most)} runs"
    why = (
        f"{count(len(names))} configurations with {each} each: "
        "the run is the unit, and each may scatter by itself; p-values count the number of tries"
    )
    tries, leader = max(len(names) - 1, 1), max(judged or names, key=lambda name: float(scores[name].mean()))
    joint = 1 - (1 - level) / tries
    found = {name: welch(scores[leader], scores[name], level=joint) for name in names if name != leader}
    kept = [name for name in order if name == leader or _alike(found[name], tries, level)]
    best = leader if len(kept) == 1 else None
    pairs = tuple(_pair(leader, name, one, tries) for name, one in found.items())
    said = [_verdict(names, judged, kept, pairs, level), *_settle(leader, kept, scores, found, level)]
    records = []
    for name in order:
        own = welch(scores[name], np.zeros(2), level=level) if len(scores[name]) > 1 else None
        bounds = (float(scores[name].mean()), own.low if own else math.nan, own.high if own else math.nan)
        gap = welch(scores[name], scores[names[0]], level=joint)
        more = {"difference": gap.estimate, "difference_low": gap.low, "difference_high": gap.high}
        if name == names[0]:
            more = dict.fromkeys(more, 0.0)
        p_value = next((pair["p"] for pair in pairs if pair["b"] == name), 1.0)
        made = model_record(name, bounds, len(scores[name]), (method, why), kept, **more, p=p_value)
        worst = lower_tail_mean(scores[name], TAIL)
        records.append(made | {"better": "greater", "worst_seeds": worst, "worst_share": TAIL})
    return Comparison(method, why, level, runs, best, tuple(kept), tuple(records), pairs, tuple(said))


def _alike(found: Difference, tries: int, level: float) -> bool:
    return found.undecided or found.p_value * tries >= 1 - level


def _pair(a: str, b: str, found: Difference, tries: int) -> Record:
    return {
        "a": a,
        "b": b,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "p": min(1.0, found.p_value * tries),
        "smallest_detectable": found.smallest_detectable,
        "n": found.n,
        "method": found.method + (", Bonferroni" if tries > 1 else ""),
        "why": found.reason or "above zero: the first is better",
    }


def _verdict(names: list[str], judged: list[str], kept: list[str], pairs: tuple[Record, ...], level: float) -> str:
    if not judged:
        return (
            f"It cannot be told which of {count(len(names))} is best: each was run once, and luck cannot be told from "
            "skill. Run the leaders with more seeds."
        )
    if len(names) > 2:
        return set_verdict(kept, names, level).replace(" confidence set", "")
    pair = pairs[0]
    if pair["low"] is None or math.isnan(pair["low"]):
        return f"It cannot be told which of {pair['a']!r} and {pair['b']!r} is better: {pair['why']}."
    gap, shown = number(abs(pair["estimate"]), 3), f"{level:.0%} interval {between(pair['low'], pair['high'], 2)}"
    p_value = f"p {at_most(pair['p'])}"
    if len(kept) == 1:
        return f"{pair['a']!r} is better than {pair['b']!r} by {gap} ({shown}; {p_value})."
    return f"No difference can be told between {pair['a']!r} and {pair['b']!r}: {gap} ({shown}; {p_value})."


def _settle(
    leader: str, kept: list[str], scores: Mapping[str, Floats], found: dict[str, Difference], level: float
) -> list[str]:
    """Say how many seeds would tell the leader from the next two."""
    others = sorted((name for name in kept if name != leader), key=lambda name: found[name].estimate)
    said = []
    single = [name for name in others if len(scores[name]) < 2]
    for name in [one for one in others if one not in single][:2]:
        gap = found[name].estimate
        if gap <= 0 or found[name].undecided:
            continue
        spread = math.sqrt(float(scores[leader].var(ddof=1) + scores[name].var(ddof=1)))
        needed = seeds_needed(spread, gap, level=level)
        if needed > 1000:
            said.append(f"{leader!r} leads {name!r} by {number(gap, 2)}: no number of seeds in reach tells so little.")
        else:
            said.append(
                f"{leader!r} leads {name!r} by {number(gap, 2)}: if that is true, about {count(needed)} seeds a side "
                "show it in four cases of five."
            )
    same = [name for name in others if np.array_equal(np.sort(scores[leader]), np.sort(scores[name]))]
    said += [
        f"{leader!r} and {name!r} have the same scores in every run: these may be one and the same." for name in same
    ]
    if single and len(single) < len(scores) - 1:
        said.append(f"Run once, so nothing can be told of it: {listed(single, most=5)}.")
    return said
