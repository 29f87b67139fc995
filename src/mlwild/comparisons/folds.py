"""Models on the folds of a resampling of the same rows: folds share rows, and that is allowed for."""

from __future__ import annotations

import math

import numpy as np

from mlwild.comparisons.answer import Comparison, Record, model_record
from mlwild.comparisons.given import Folds
from mlwild.comparisons.sentences import at_most, set_verdict
from mlwild.errors import AppError
from mlwild.stats.classifiers import PairedTest, bootstrap_632, corrected_resampled_t, five_by_two_f
from mlwild.wording import between, number


def folds(given: Folds, level: float) -> Comparison:
    """Compare models by what they lost on each fold."""
    names, n = list(given.names), len(given.losses)
    if given.scheme == "5x2" and len(names) != 2:
        raise AppError(
            f"folds: the 5x2cv F test compares two models, not {len(names)}. Give two, or scheme='resampled'."
        )
    estimates, intervals = _estimates(given, level)
    leader = int(np.argmin(estimates))
    tries = len(names) - 1
    joint = 1 - (1 - level) / tries
    pairs, kept = [], [names[leader]]
    for place, name in enumerate(names):
        if place == leader:
            continue
        test = _test(given, leader, place, joint)
        pairs.append(_pair(names[leader], name, test, n, tries))
        if pairs[-1]["still"] or pairs[-1]["p"] >= 1 - level:
            kept.append(name)
    method = pairs[0]["method"].replace(", Bonferroni", "")
    what = {"5x2": "5 replications of 2 folds", "bootstrap": f"{n} bootstrap rounds"}.get(given.scheme, f"{n} folds")
    why = (
        f"{len(names)} models on {what} of the same rows: they share training rows, so their differences resemble each "
        "other, and a plain t test would find differences that are not there"
    )
    best = names[leader] if len(kept) == 1 else None
    same = [pair["b"] for pair in pairs if pair["same"]]
    said = [_verdict(names, kept, best, pairs, level)]
    said += [
        f"{names[leader]!r} and {name!r} lose the same on every fold: these may be identical models." for name in same
    ]
    said += [
        f"{names[leader]!r} and {pair['b']!r} differ by {number(abs(pair['estimate']), 3)} on every fold alike, which "
        "leaves no spread to judge it by: were the folds scored one by one?"
        for pair in pairs
        if pair["still"] and len(names) > 2
    ]
    if given.scheme == "bootstrap":
        said.append("Estimates are .632+; the test is on the rows left out of each round.")
    records = []
    for place in np.argsort(estimates, kind="stable"):
        gap = _test(given, int(place), 0, joint).difference if place else None
        at = {"difference": gap.estimate, "difference_low": gap.low, "difference_high": gap.high} if gap else _zero()
        p_value = next((pair["p"] for pair in pairs if pair["b"] == names[place]), 1.0)
        records.append(model_record(names[place], intervals[place], n, (method, why), kept, **at, p=p_value))
    return Comparison(method, why, level, n, best, tuple(kept), tuple(records), tuple(pairs), tuple(said))


def _zero() -> dict[str, float]:
    return dict.fromkeys(("difference", "difference_low", "difference_high"), 0.0)


def _test(given: Folds, a: int, b: int, level: float) -> PairedTest:
    gap = given.losses[:, a] - given.losses[:, b]
    if given.scheme == "5x2":
        return five_by_two_f(gap.reshape(5, 2), level=level)
    return corrected_resampled_t(gap, test_share=given.test_share / (1 - given.test_share), level=level)


def _estimates(given: Folds, level: float) -> tuple[list[float], list[tuple[float, float, float]]]:
    """Return each model's estimate, and its interval."""
    if given.scheme == "bootstrap":
        assert given.training is not None
        assert given.no_information is not None
        found = [
            bootstrap_632(float(training), left, float(nothing), level=level)
            for training, left, nothing in zip(given.training, given.losses.T, given.no_information, strict=True)
        ]
        return [one.plus for one in found], [(one.plus, one.low, one.high) for one in found]
    means = [float(mean) for mean in given.losses.mean(axis=0)]
    if given.scheme == "5x2":
        return means, [(mean, math.nan, math.nan) for mean in means]
    ratio = given.test_share / (1 - given.test_share)
    gaps = [corrected_resampled_t(column, test_share=ratio, level=level).difference for column in given.losses.T]
    return means, [(gap.estimate, gap.low, gap.high) for gap in gaps if gap is not None]


def _pair(a: str, b: str, test: PairedTest, n: int, tries: int) -> Record:
    gap = test.difference
    assert gap is not None
    same = gap.estimate == 0 and not test.statistic
    still = math.isinf(test.statistic)
    nan = math.nan
    return {
        "a": a,
        "b": b,
        "estimate": gap.estimate,
        "low": nan if still else gap.low,
        "high": nan if still else gap.high,
        "p": nan if still else min(1.0, test.p_value * tries),
        "n": n,
        "statistic": test.statistic,
        "method": test.method + (", Bonferroni" if tries > 1 else ""),
        "why": "the same on every fold" if same or still else "below zero: the first is better",
        "same": same,
        "still": still,
    }


def _verdict(names: list[str], kept: list[str], best: str | None, pairs: list[Record], level: float) -> str:
    if len(names) > 2:
        return set_verdict(kept, names, level).replace(" confidence set", "")
    pair = pairs[0]
    if pair["still"]:
        return (
            f"It cannot be told which of {names[0]!r} and {names[1]!r} is better: they differ by "
            f"{number(abs(pair['estimate']), 3)} on every fold alike, which leaves no spread to judge it by."
        )
    shown = f"{level:.0%} interval {between(-pair['high'], -pair['low'], 2)}; p {at_most(pair['p'])}"
    gap = number(abs(pair["estimate"]), 3)
    if best:
        return f"{best!r} is better than {pair['b']!r} by {gap} ({shown})."
    return f"No difference can be told between {pair['a']!r} and {pair['b']!r}: {gap} ({shown})."
