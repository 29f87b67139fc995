"""Sign tables: whether the ways of adding up favour the same model, and which choice of metric decides."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mlwild.comparisons.answer import Record
from mlwild.comparisons.given import Losses
from mlwild.stats.paired import FEWEST
from mlwild.stats.period_signs import MOST_SURE, period_signs
from mlwild.stats.runs import SignTable

#: Rows are added up to blocks of neighbours, at most so many of at least so many: a row has no worst quarter.
BLOCKS, FEWEST_ROWS = 100, 5
#: Rivals that get a table, the one with the least loss first.
MOST_RIVALS = 8

#: How a way of adding up is called in a sentence.
WAYS = {
    "mean": "mean",
    "median": "median",
    "worst_quarter": "mean over the worst quarter",
    "worst_period": "worst {unit}",
    "periods_won": "share of {unit}s won",
    "iqm": "interquartile mean",
    "worst_quartile": "worst quartile",
    "optimality_gap": "optimality gap",
    "probability_of_improvement": "chance of winning",
}
#: Ways whose number is a share less one half, so that zero favours neither.
LESS_A_HALF = ("probability_of_improvement", "periods_won")


def way(metric: str, unit: str = "period") -> str:
    """
    Return the name of a way of adding up.

    Examples
    --------
    >>> way("worst_period", "day"), way("iqm")
    ('worst day', 'interquartile mean')
    """
    return WAYS.get(metric, metric.replace("_", " ")).format(unit=unit)


def loss_signs(losses: Losses, level: float) -> list[Record]:
    """
    Return the sign table of the first-named model against each rival, the strongest first.

    Parameters
    ----------
    losses : Losses
        In order of time.
    level : float
        Of all tables together (Bonferroni).

    Returns
    -------
    list of dict
        One a rival, at most 8: a, b, agree, deciding, best, said, level, n, unit and rows, each with
        metric, estimate (loss of a less that of b: below zero favours a), low, high, favours, separable.
        None for so few rows that they make no 8 blocks of 5.

    Examples
    --------
    >>> hard = np.random.default_rng(0).normal(1.0, 0.3, size=(60, 1))
    >>> noise = np.random.default_rng(1).normal(0.0, 0.1, size=(60, 2))
    >>> loss_signs(Losses(["old", "new"], hard + noise + [0.2, 0.0], unit="day"), 0.95)[0]["said"]
    "Whichever way days are added up, 'new' loses less than 'old', the mean by more than chance explains."
    """
    short, unit = _blocks(losses)
    if unit == "row":
        return []
    names = list(short.names)
    means = short.series.mean(axis=0)
    rivals = sorted(range(1, len(names)), key=lambda place: float(means[place]))
    joint = min(1 - (1 - level) / len(rivals), MOST_SURE)
    weights = None if short.weights is None else np.asarray(short.weights, dtype=np.float64)
    made = []
    for place in rivals[:MOST_RIVALS]:
        table = period_signs(short.losses[:, 0], short.losses[:, place], weights=weights, level=joint)
        record = sign_record(names[0], names[place], table)
        record |= {"level": level, "n": len(short.losses), "unit": unit, "better": "lower"}
        record["said"] = _said(record, table)
        made.append(record)
    return made


def sign_record(a: str, b: str, table: SignTable) -> Record:
    """Return a sign table as plain data."""
    word = {"a": a, "b": b}
    return {
        "a": a,
        "b": b,
        "agree": not table.deciding,
        "deciding": list(table.deciding),
        "best": word.get(table.best or ""),
        "rows": [
            {
                "metric": row.metric,
                "estimate": row.difference.estimate,
                "low": row.difference.low,
                "high": row.difference.high,
                "favours": word.get(row.favours, "neither"),
                "separable": row.separable,
            }
            for row in table.rows
        ],
    }


def _blocks(losses: Losses) -> tuple[Losses, str]:
    """Return periods as they are; many rows as means over blocks of neighbours; and what one of them is called."""
    n = len(losses.losses)
    size = max(math.ceil(n / BLOCKS), FEWEST_ROWS)
    if losses.unit != "row" or n < size * FEWEST:
        return losses, losses.unit
    made = replace(losses, period=np.arange(n) // size).by_period()
    return made, f"block of {size} {losses.unit}s"


def _said(record: Record, table: SignTable) -> str:
    """Return the sentence that says whether the ways agree, and which choice decides if they do not."""
    a, b, rows, unit = record["a"], record["b"], record["rows"], record["unit"]
    units = f"{unit}s" if " of " not in unit else f"blocks{unit.removeprefix('block')}"
    if all(row["favours"] == "neither" for row in rows):
        return f"{a!r} and {b!r} lose the same, whichever way {units} are added up."
    leader = rows[0]["favours"]
    other = b if leader == a else a
    if not table.deciding:
        sure = "the mean by more" if rows[0]["separable"] else "though the mean by no more"
        return f"Whichever way {units} are added up, {leader!r} loses less than {other!r}, {sure} than chance explains."
    against = [way(metric, unit.split(" of ")[0]) for metric in table.deciding]
    shown = against[0] if len(against) == 1 else f"{', '.join(against[:-1])} and {against[-1]}"
    verb = "does" if len(against) == 1 else "do"
    sure = "" if any(row["separable"] for row in rows) else "; none by more than chance explains"
    favoured = f"the mean favours {leader!r}" if leader != "neither" else "the mean favours neither"
    return f"The choice of metric decides between {a!r} and {b!r}: {favoured}, the {shown} {verb} not{sure}."
