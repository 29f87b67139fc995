"""Models on rows that do not depend on each other: the same rows, or rows of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Comparison, Record, listed, model_record
from mlwild.comparisons.given import Counts, Losses
from mlwild.comparisons.ordered import loss_records, many, pair_record, turned, winner
from mlwild.comparisons.sentences import at_most, how_much_more, same_ones, set_verdict, twins, two_verdict
from mlwild.stats.bootstrap import Interval
from mlwild.stats.classifiers import PairedTest, cochran_q, mcnemar
from mlwild.stats.paired import batch_means
from mlwild.stats.proportions import (
    clopper_pearson,
    cohens_h,
    minimum_detectable_difference,
    proportion_difference,
    wilson,
)
from mlwild.wording import between, count, number

Floats = NDArray[np.float64]

#: Below so many rows the exact interval is given: it never covers too little.
FEW = 40


def is_right_or_wrong(losses: Losses) -> bool:
    """Return whether all losses are 0 or 1."""
    return losses.weights is None and bool(np.isin(losses.losses, (0.0, 1.0)).all())


def independent(
    losses: Losses, level: float, *, procedure: str | None = None, benchmark: str | None = None
) -> Comparison:
    """Compare models on the same rows, which do not depend on each other."""
    two = len(losses.names) == 2
    if is_right_or_wrong(losses) and benchmark is None and procedure != "model confidence set":
        return _mcnemar(losses, level) if two else _cochran(losses, level)
    return _paired_t(losses, level) if two else many(losses, losses, level, benchmark)


def _paired_t(losses: Losses, level: float) -> Comparison:
    """Compare two models whose losses are numbers: a t test on pairs is right where rows are independent."""
    a, b = losses.series.T
    first, second = losses.names
    found = batch_means(a, b, level=level, independent=True)
    method, n = "paired t", len(a)
    why = f"two models on the same {count(n)} independent {losses.unit}s, with losses that are numbers"
    best = winner(losses.names, found)
    together = (best,) if best else (first, second)
    said = [two_verdict(losses, found, float(n)), *([] if found.undecided else how_much_more(losses, found))]
    records = loss_records(losses, losses, together, level, (method, why), {second: turned(found)})
    pair = pair_record(first, second, found, n, method)
    spread = float(np.std(a - b, ddof=1)) if n > 1 else 0.0
    pair["effect"] = found.estimate / spread if spread > 0 else None
    return Comparison(method, why, level, n, best, together, records, (pair,), tuple(said))


def _mcnemar(losses: Losses, level: float) -> Comparison:
    a, b = losses.losses.T
    first, second = losses.names
    test, n = mcnemar(a, b, level=level), len(a)
    why = (
        f"two models that are right or wrong on the same {count(n)} independent {losses.unit}s: only the "
        f"{count(test.n)} on which one of them errs can tell them apart"
    )
    pair = _pair(first, second, test, n, 1)
    pair["smallest_detectable"] = minimum_detectable_difference(n, test.n / n, paired=True, level=level)
    pair["effect"] = cohens_h(float(a.mean()), float(b.mean()))
    better = test.p_value < 1 - level
    best = (first if a.mean() < b.mean() else second) if better else None
    assert test.difference is not None
    shown = f"{level:.0%} interval {between(test.difference.low, test.difference.high, 2)}"
    gap = number(abs(test.difference.estimate), 3)
    if best:
        other = second if best == first else first
        said = [
            f"{best!r} errs less often than {other!r}, by {gap} ({shown}; {test.method}, p {at_most(test.p_value)})."
        ]
    elif not test.n:
        said = [f"{first!r} and {second!r} err on the same {losses.unit}s: these may be identical models."]
    else:
        said = [
            (
                f"No difference can be told between {first!r} and {second!r}: error rates differ by {gap} ({shown}; "
                f"{test.method}, p {at_most(test.p_value)})."
            ),
            f"One of {number(pair['smallest_detectable'], 2)} would have been seen in four cases of five.",
        ]
    together = (best,) if best else (first, second)
    records = rate_records(losses.names, losses.losses.sum(axis=0), [n, n], level, together, (test.method, why))
    records = _against_first(records, [pair])
    return Comparison(test.method, why, level, n, best, together, records, (pair,), tuple(said))


def _cochran(losses: Losses, level: float) -> Comparison:
    names, values, n = list(losses.names), losses.losses, len(losses.losses)
    whole = cochran_q(values)
    why = (
        f"{len(names)} models that are right or wrong on the same {count(n)} independent {losses.unit}s: first whether "
        "they differ at all, then each against the best; p-values count the number of tries"
    )
    method = "Cochran Q, then McNemar"
    leader = int(values.mean(axis=0).argmin())
    tries = len(names) - 1
    joint = 1 - (1 - level) / tries
    pairs, kept = [], []
    for place, name in enumerate(names):
        if place == leader:
            kept.append(name)
            continue
        test = mcnemar(values[:, leader], values[:, place], level=joint)
        pairs.append(_pair(names[leader], name, test, n, tries))
        if whole.p_value >= 1 - level or pairs[-1]["p"] >= 1 - level:
            kept.append(name)
    best = kept[0] if len(kept) == 1 else None
    differ = "differ" if whole.p_value < 1 - level else "cannot be told apart"
    said = (
        set_verdict(kept, names, level).replace(" confidence set", ""),
        f"Error rates {differ} (Cochran Q = {number(whole.statistic, 3)}, p {at_most(whole.p_value)}).",
        *same_ones(losses, twins(values)),
    )
    sizes = [n] * len(names)
    records = rate_records(names, values.sum(axis=0), sizes, level, kept, (method, why))
    by_name = {pair["b"]: pair["p"] for pair in pairs} | {names[leader]: 1.0}
    for record in records:
        record["p"] = by_name[record["name"]]
    gaps = [
        _pair(names[0], name, mcnemar(values[:, 0], values[:, k], level=joint), n, tries)
        for k, name in enumerate(names)
        if k
    ]
    records = _against_first(records, gaps)
    tables = {"cochran": {"statistic": whole.statistic, "p": whole.p_value, "n": whole.n}}
    return Comparison(method, why, level, n, best, tuple(kept), records, tuple(pairs), said, tables=tables)


def _pair(a: str, b: str, test: PairedTest, n: int, tries: int) -> Record:
    """Return the record of a test of two, its p-value times the number of tries."""
    gap = test.difference
    assert gap is not None
    p_value = min(1.0, test.p_value * tries)
    return {
        "a": a,
        "b": b,
        "estimate": gap.estimate,
        "low": gap.low,
        "high": gap.high,
        "p": p_value,
        "n": n,
        "speaking": test.n,
        "statistic": test.statistic,
        "method": test.method + (", Bonferroni" if tries > 1 else ""),
        "why": f"they differ on {count(test.n)} of {count(n)} rows",
    }


def _against_first(records: Sequence[Record], pairs: Sequence[Record]) -> tuple[Record, ...]:
    """Add differences from the first-named model, from pairs (first, other)."""
    by_name = {pair["b"]: pair for pair in pairs}
    for record in records:
        pair = by_name.get(record["name"])
        if pair is None:
            record |= {"difference": 0.0, "difference_low": 0.0, "difference_high": 0.0}
        else:
            record |= {
                "difference": -pair["estimate"],
                "difference_low": -pair["high"],
                "difference_high": -pair["low"],
            }
    if len(pairs) == 1:
        for record in records:
            record["p"] = 1.0 if record is records[0] else pairs[0]["p"]
    return tuple(records)


def rate_records(
    names: Sequence[str],
    errors: Floats,
    sizes: Sequence[int],
    level: float,
    together: Sequence[str],
    by: tuple[str, str],
) -> tuple[Record, ...]:
    """Return one record a model from counts of errors, least rate first; intervals stay in [0, 1]."""
    made = []
    for name, wrong, n in zip(names, errors, sizes, strict=True):
        few = n < FEW
        found: Interval = (clopper_pearson if few else wilson)(round(float(wrong)), n, level=level)
        bounds = (found.estimate, found.low, found.high)
        more = {"interval": "Clopper-Pearson" if few else "Wilson"}
        made.append(model_record(name, bounds, n, by, together, **more))
    return tuple(sorted(made, key=lambda record: float(record["estimate"])))


def counts(given: Counts, level: float) -> Comparison:
    """Compare error rates on rows of their own."""
    names, rows = list(given.errors), given.rows
    method = "difference of proportions"
    why = "each model has rows of its own: nothing is paired, which takes more rows to see a difference"
    leader = min(names, key=lambda name: given.errors[name] / rows[name])
    tries = len(names) - 1
    joint = 1 - (1 - level) / tries
    pairs, kept = [], [leader]
    for name in names:
        if name == leader:
            continue
        test = proportion_difference(given.errors[leader], rows[leader], given.errors[name], rows[name], level=joint)
        gap = test.difference
        pair: Record = {"a": leader, "b": name, "estimate": gap.estimate, "low": gap.low, "high": gap.high}
        pair |= {"p": min(1.0, test.p_value * tries), "n": gap.n, "statistic": test.statistic, "effect": test.effect}
        pair |= {"method": method + (", Bonferroni" if tries > 1 else ""), "why": "rows of their own"}
        pairs.append(pair)
        if pair["p"] >= 1 - level:
            kept.append(name)
    rate = sum(given.errors.values()) / sum(rows[name] for name in names)
    least = minimum_detectable_difference(min(rows[name] for name in names), rate, level=level)
    best = leader if len(kept) == 1 else None
    closest = max(pairs, key=lambda pair: pair["p"]) if best else min(pairs, key=lambda pair: pair["p"])
    p_said = f"p {at_most(closest['p'])}"
    said = (
        f"{best!r} errs least often ({p_said})."
        if best
        else f"No difference can be told between {listed(kept, most=8)} ({p_said})."
        if len(kept) == len(names)
        else set_verdict(kept, names, level).replace(" confidence set", ""),
        f"So many rows show a difference of {number(least, 2)} in four cases of five."
        if 0 < rate < 1
        else f"{'No' if not rate else 'Every'} answer of any of them is wrong: nothing can be told by such rows.",
    )
    errors = np.array([given.errors[name] for name in names], dtype=np.float64)
    sizes = [rows[name] for name in names]
    records = rate_records(names, errors, sizes, level, kept, (method, why))
    by_name = {pair["b"]: pair["p"] for pair in pairs} | {leader: 1.0}
    for record in records:
        record["p"] = by_name[record["name"]]
    return Comparison(method, why, level, sum(sizes), best, tuple(kept), tuple(records), tuple(pairs), said)
