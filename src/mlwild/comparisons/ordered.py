"""Models on the same rows in order of time, compared once: two, or many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Comparison, Record, listed
from mlwild.comparisons.given import Losses
from mlwild.comparisons.sentences import at_most, how_much_more, rows_count, same_ones, set_verdict, two_verdict
from mlwild.comparisons.signs import loss_signs
from mlwild.errors import AppError
from mlwild.stats.bootstrap import block_length, mean_interval
from mlwild.stats.forecasts import diebold_mariano, giacomini_white
from mlwild.stats.many import model_confidence_set, step_m, superior_predictive_ability
from mlwild.stats.memory import effective_rows
from mlwild.stats.paired import FEWEST, Difference, batch_means, fixed_b
from mlwild.wording import count, number

Floats = NDArray[np.float64]

#: More rows than this are added up to as many blocks of neighbours: as exact, and quicker.
MOST_BLOCKS = 2_000
#: Greatest level that fixed-b has critical values for.
FIXED_B_LEVEL = 0.999


def in_time(losses: Losses, level: float, *, procedure: str | None = None, benchmark: str | None = None) -> Comparison:
    """Compare two or more models on a fixed span of rows in order of time."""
    short = blocks_of(losses)
    if len(losses.names) == 2:
        return _two(losses, short, level, procedure or "fixed-b HAC")
    return many(losses, short, level, benchmark)


def blocks_of(losses: Losses) -> Losses:
    """Return very many rows as means of blocks of neighbours."""
    size = -(-len(losses.losses) // MOST_BLOCKS)
    if size == 1:
        return losses
    made = replace(losses, period=np.arange(len(losses.losses)) // size).by_period()
    return replace(made, unit=losses.unit)


def _two(losses: Losses, short: Losses, level: float, procedure: str) -> Comparison:
    a, b = short.series.T
    first, second = losses.names
    if procedure == "batch means":
        found = batch_means(a, b, level=level)
    elif procedure == "Diebold-Mariano":
        found = diebold_mariano(a, b, level=level, horizon=short.lag)
    else:
        found = fixed_b(a, b, level=level)
    n, effective = len(losses.losses), effective_rows(a - b)
    worth = f"{effective:.1f}" if effective < FEWEST else count(effective)  # as the verdict says it
    why = (
        f"two models on the same {count(n)} {losses.unit}s in order of time; neighbours resemble each other, so they "
        f"count as {worth} independent ones, and a plain t test would find differences that are "
        "not there"
    )
    if procedure == "Diebold-Mariano":
        why += f"; asked for, and differences are uncorrelated beyond {short.lag} {losses.unit}s"
    else:
        why += (
            "; the interval is corrected for so few (prewhitened, Student's quantile), which keeps equal models from "
            "being called different more than once in twenty"
            if procedure == "fixed-b HAC"
            else "; the interval is corrected for what batches cut off, and for so few (Student's quantile)"
        )
    said = [two_verdict(losses, found, effective)]
    tables: dict[str, Any] = {}
    if not found.undecided:
        tables, extra = _when(short)
        tables["signs"] = loss_signs(losses, level)
        said += [*_first_said(tables["signs"]), *extra, *how_much_more(losses, found)]
    elif np.ptp(a - b):
        said.append(
            f"At this rate it takes about {count(math.ceil(n * FEWEST / max(effective, 1.0)))} {losses.unit}s before "
            "anything can be said."
        )
    best = winner(losses.names, found)
    together = (best,) if best else (first, second)
    records = loss_records(losses, short, together, level, (procedure, why), {second: turned(found)})
    for record in records:
        record["p"] = 1.0 if record["name"] == records[0]["name"] else found.p_value
    pair = pair_record(first, second, found, n, procedure)
    return Comparison(procedure, why, level, n, best, together, records, (pair,), tuple(said), tables=tables)


def winner(names: Sequence[str], found: Difference) -> str | None:
    """Return the better of two models where an interval tells."""
    if found.undecided or not (found.high < 0 or found.low > 0):
        return None
    return names[0] if found.estimate < 0 else names[1]


def _first_said(signs: Sequence[Record]) -> list[str]:
    return [signs[0]["said"]] if signs else []


def _when(short: Losses) -> tuple[dict[str, Any], list[str]]:
    """Say whether what was known before a row tells which model to prefer on it (Giacomini and White)."""
    a, b = short.series.T
    horizon = min(short.lag, len(a) // 4)
    found = giacomini_white(a, b, horizon=horizon)
    if found.undecided:
        return {}, []
    table = {"p": found.p_value, "share_first": found.share_a, "n": found.n, "method": "Giacomini-White"}
    said = []
    if found.p_value < 0.05 and 0.05 < found.share_a < 0.95:
        said.append(
            f"Which one to prefer can be told in advance from the last known difference (Giacomini-White, p "
            f"{at_most(found.p_value)}): {short.names[0]!r} on {found.share_a:.0%} of the {short.unit}s."
        )
    return {"conditional": table}, said


def many(losses: Losses, short: Losses, level: float, benchmark: str | None) -> Comparison:
    """Compare three or more models on a fixed span of rows, in order of time or independent."""
    names, series = tuple(losses.names), short.series
    independent = losses.order == "independent"
    n, m = len(losses.losses), len(names)
    relative = series - series.mean(axis=1, keepdims=True)
    effective = float(len(series)) if independent else float(np.median([effective_rows(one) for one in relative.T]))
    length = 1.0 if independent else max(float(short.lag), float(np.mean([block_length(one) for one in relative.T])))
    method = "model confidence set"
    why = (
        f"{m} models on the same {count(n)} {'independent ' if independent else ''}{losses.unit}s"
        f"{'' if independent else ' in order of time'}: testing each pair would find a best one by luck; this set "
        f"holds the best one with a chance of {level:.0%}"
    )
    if not independent:
        why += (
            "; neighbours resemble each other, so standard errors are those of as many independent ones as these are "
            "worth"
        )
    if (losses.losses == losses.losses[:, :1]).all():
        said = [f"All {m} models lose the same on every {losses.unit}: these may be one model."]
        records = loss_records(losses, short, names, level, (method, why), {})
        return Comparison(method, why, level, n, None, names, records, (), tuple(said))
    if min(effective, len(series) / length) < FEWEST:
        worth = min(effective, len(series) / length)
        needed = math.ceil(n * FEWEST / max(worth, 1.0))
        said = [
            (
                f"It cannot be told which of {m} models is best: {rows_count(n, losses.unit)} as {worth:.1f} "
                f"independent ones, and it takes {FEWEST}."
            ),
            f"At this rate it takes about {count(needed)} {losses.unit}s before anything can be said.",
        ]
        records = loss_records(losses, short, names, level, (method, why), {})
        return Comparison(method, why, level, n, None, names, records, (), tuple(said))
    if not (np.ptp(relative, axis=0) > 1e-12 * np.abs(series).max()).any():
        said = [
            (
                f"It cannot be told which of {m} models is best: they differ by as much on every {losses.unit}, which "
                "leaves no spread to judge it by."
            )
        ]
        records = loss_records(losses, short, names, level, (method, why), {})
        return Comparison(method, why, level, n, None, names, records, (), tuple(said))
    found = model_confidence_set(series, level=level, length=length)
    together = tuple(names[place] for place in sorted(found.included, key=lambda at: float(series[:, at].mean())))
    gaps, pairs = _against_first(losses, short, level)
    records = loss_records(losses, short, together, level, (method, why), gaps)
    p_values = dict(zip(names, found.p_values, strict=True))
    for record in records:
        record["p"] = p_values[record["name"]]
    said = [set_verdict(together, names, level), *same_ones(losses, found.identical)]
    tables: dict[str, Any] = {}
    if not independent:
        tables["signs"] = loss_signs(losses, level)
        said += _first_said(tables["signs"])
    if benchmark is not None:
        tables["benchmark"], more = _benchmark(short, benchmark, level, length)
        said += more
    best = together[0] if len(together) == 1 else None
    said += _settle(losses, short, together, level)
    return Comparison(method, why, level, n, best, together, records, pairs, tuple(said), tables=tables)


def _settle(losses: Losses, short: Losses, together: Sequence[str], level: float) -> list[str]:
    """Say how much more it takes to tell the least loss from the two next ones of the set."""
    names, order = list(losses.names), list(together)
    said, n = [], len(losses.losses)
    for name in order[1:3]:
        a, b = (short.series[:, names.index(one)] for one in (order[0], name))
        if losses.order == "independent":
            found = batch_means(a, b, level=level, independent=True)
        else:
            found = fixed_b(a, b, level=min(level, FIXED_B_LEVEL))
        gap = abs(found.estimate)
        if found.undecided or not gap:
            continue
        needed = n * (found.smallest_detectable / gap) ** 2
        seen = f"{order[0]!r} leads {name!r} by {number(gap, 2)}"
        if needed > 1000 * n:
            said.append(f"{seen}: to be sure of so little would take more than 1,000 times as many {losses.unit}s.")
        elif needed > n:
            said.append(
                f"{seen}: if that is true, about {number(needed, 2)} {losses.unit}s show it; there are {count(n)}."
            )
    return said


def _benchmark(short: Losses, benchmark: str, level: float, length: float) -> tuple[Record, list[str]]:
    """Say which models are better than a named one beyond the luck of so many tries."""
    names = list(short.names)
    if benchmark not in names:
        raise AppError(f"benchmark: {benchmark!r} is not among {listed(names, most=8)}.")
    place = names.index(benchmark)
    others = [name for name in names if name != benchmark]
    own, rest = short.series[:, place], np.delete(short.series, place, axis=1)
    ability = superior_predictive_ability(own, rest, length=length)
    steps = step_m(own, rest, level=level, length=length)
    better = [others[one] for one in steps.better]
    table = {"benchmark": benchmark, "p": ability.p_value, "better": better, "method": "SPA and StepM"}
    asked = f"The narrower question, is any better than {benchmark!r}, with {len(others)} tries counted"
    if better:
        return table, [f"{asked}: yes, {listed(better, most=8)} (StepM)."]
    if ability.p_value <= 1 - level:  # poor models cost StepM power, and SPA none: it may see what StepM cannot name
        return table, [f"{asked}: yes (SPA, p {at_most(ability.p_value)}), though it cannot be told which (StepM)."]
    return table, [f"{asked}: none is shown to be (SPA, p {at_most(ability.p_value)})."]


def _against_first(losses: Losses, short: Losses, level: float) -> tuple[dict[str, Difference], tuple[Record, ...]]:
    """Return each model's difference from the first-named; all intervals hold together (Bonferroni)."""
    series, names = short.series, losses.names
    tries = len(names) - 1
    joint = 1 - (1 - level) / tries
    gaps, pairs = {}, []
    for place in range(1, len(names)):
        own, first = series[:, place], series[:, 0]
        if losses.order == "independent":
            found = batch_means(own, first, level=joint, independent=True)
            method = "paired t"
        elif joint <= FIXED_B_LEVEL:
            found, method = fixed_b(own, first, level=joint), "fixed-b HAC"
        else:
            found, method = batch_means(own, first, level=joint), "batch means"
        p_value = found.p_value if math.isnan(found.p_value) else min(1.0, tries * found.p_value)
        found = replace(found, level=level, p_value=p_value)
        gaps[names[place]] = found
        pairs.append(pair_record(names[place], names[0], found, len(losses.losses), f"{method}, Bonferroni"))
    return gaps, tuple(pairs)


def turned(found: Difference) -> Difference:
    """Return the difference of B and A."""
    return replace(found, estimate=-found.estimate, low=-found.high, high=-found.low)


def pair_record(a: str, b: str, found: Difference, n: int, method: str) -> Record:
    """Return the record of a difference: the loss of a less that of b, below zero where a is better."""
    if found.undecided:
        why = found.reason
    elif found.low <= 0 <= found.high:
        why = "the interval holds zero"
    else:
        why = f"{a if found.estimate < 0 else b!s} is better: the interval does not hold zero"
    return {
        "a": a,
        "b": b,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "p": found.p_value,
        "smallest_detectable": found.smallest_detectable,
        "n": n,
        "method": method,
        "why": why,
    }


def loss_records(
    losses: Losses,
    short: Losses,
    together: Sequence[str],
    level: float,
    by: tuple[str, str],
    gaps: dict[str, Difference],
) -> tuple[Record, ...]:
    """Return one record a model, least mean loss first, with its difference from the first-named."""
    method, why = by
    made: list[Record] = []
    length = 1.0 if losses.order == "independent" else None
    for place, name in enumerate(losses.names):
        own = mean_interval(short.series[:, place], level=level, length=length)
        gap = gaps.get(name)
        at_first = 0.0 if place == 0 else math.nan
        made.append(
            {
                "name": name,
                "estimate": own.estimate,
                "low": own.low,
                "high": own.high,
                "difference": gap.estimate if gap else _mean_gap(short, place),
                "difference_low": gap.low if gap else at_first,
                "difference_high": gap.high if gap else at_first,
                "p": math.nan,
                "n": len(losses.losses),
                "method": method,
                "why": why,
                "in_best_set": name in together,
            }
        )
    return tuple(sorted(made, key=lambda record: record["estimate"]))


def _mean_gap(short: Losses, place: int) -> float:
    return float((short.series[:, place] - short.series[:, 0]).mean())
