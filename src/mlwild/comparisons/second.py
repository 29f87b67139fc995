"""The second rule: whom to take where several cannot be told from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlwild.comparisons.agents import TAIL, seed_scores
from mlwild.comparisons.answer import Comparison, Record, listed
from mlwild.comparisons.given import Counts, Given, Losses, Runs, Strategies
from mlwild.errors import AppError
from mlwild.stats.seeds import lower_tail_mean
from mlwild.wording import number

Prefer = str | Mapping[str, float] | Sequence[str]

#: Blocks of neighbouring rows, and share of them (or of periods, rows, folds) that is called the worst.
BLOCKS, WORST = 100, 0.1


def read_prefer(text: str) -> Prefer:
    """
    Read a second rule from one word of a command line.

    Raises
    ------
    AppError
        If a cost is no number.

    Examples
    --------
    >>> read_prefer("worst_case"), read_prefer("a=2,b=1"), read_prefer("a,b")
    ('worst_case', {'a': 2.0, 'b': 1.0}, ['a', 'b'])
    """
    if text == "worst_case":
        return text
    parts = [part.strip() for part in text.split(",")]
    if not any("=" in part for part in parts):
        return parts
    try:
        return {name.strip(): float(cost) for name, cost in (part.rsplit("=", 1) for part in parts)}
    except ValueError:
        raise AppError(f"prefer: {text!r} is not of the form name=cost,name=cost.") from None


def choose(found: Comparison, value: Given, prefer: Prefer) -> Comparison:
    """Choose within the set of the best by the rule that the user states."""
    kept = list(found.best_set)
    if isinstance(prefer, str):
        if prefer != "worst_case":
            raise AppError(
                f"prefer: {prefer!r} is not 'worst_case', a mapping of costs by name, or names with the simplest first."
            )
        scored, rule = _worst(value, kept), "worst_case"
        runs = isinstance(value, Runs)
        said = "its worst quarter of seeds scores most" if runs else "its worst case is the mildest"
        said += f" ({number(min(scored.values()) * (-1 if runs else 1), 3)})"
    else:
        stated = dict(prefer) if isinstance(prefer, Mapping) else {name: float(k) for k, name in enumerate(prefer)}
        missing = [name for name in kept if name not in stated]
        if missing:
            raise AppError(f"prefer: says nothing of {listed(missing, most=8)}, which cannot be told from the best.")
        scored = {name: float(stated[name]) for name in kept}
        rule = "cost" if isinstance(prefer, Mapping) else "simplicity"
        said = f"it costs least ({number(min(scored.values()))})" if rule == "cost" else "it is the simplest"
    name = min(kept, key=scored.__getitem__)
    choice: Record = {"name": name, "rule": rule, "why": said, "scores": scored}
    if len(kept) == 1:
        return replace(found, choice=choice)
    sentence = f"Among the {len(kept)} that cannot be told from the best, take {name!r}: {said}."
    return replace(found, choice=choice, said=(found.said[0], sentence, *found.said[1:]))


def _worst(value: Given, names: Sequence[str]) -> dict[str, float]:
    """Return each model's mean loss in the worst tenth of its blocks, periods, rows or folds; lower is better."""
    if isinstance(value, Runs):
        return {name: -lower_tail_mean(seed_scores(value.scores[name]), TAIL) for name in names}
    if isinstance(value, Counts):
        raise AppError("prefer: counts of errors have no worst case. State costs, or names with the simplest first.")
    table = -value.returns if isinstance(value, Strategies) else value.losses
    if isinstance(value, Losses) and value.order == "time" and value.unit == "row" and len(table) > BLOCKS:
        table = np.array([part.mean(axis=0) for part in np.array_split(table, BLOCKS)])
    place = {name: at for at, name in enumerate(value.names)}
    return {name: -lower_tail_mean(-table[:, place[name]], WORST) for name in names}
