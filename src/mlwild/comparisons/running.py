"""Models compared while rows still come, at every look; and how long a challenger must run."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlwild.comparisons.answer import Comparison, Record
from mlwild.comparisons.given import Losses
from mlwild.comparisons.ordered import blocks_of, loss_records, pair_record, turned
from mlwild.comparisons.sentences import same_ones, set_verdict, twins
from mlwild.errors import AppError, DataError
from mlwild.stats.paired import Difference
from mlwild.stats.planning import RowsNeeded, rows_needed
from mlwild.stats.sequential import EProcess, betting, running_difference
from mlwild.stats.sequential_set import SequentialSet
from mlwild.wording import between, count, number

Floats = NDArray[np.float64]

#: Differences below this share of the disagreement are not planned for: even the smallest bets lose on them.
TELLING = 0.02


def how_long(
    disagreement: float, difference: float, *, level: float = 0.95, power: float = 0.8, autocorrelation: float = 0.0
) -> RowsNeeded:
    """
    Say how long a challenger must run, before any of its labels is known.

    Parameters
    ----------
    disagreement : float
        Share of rows on which the two models' answers differ, in (0, 1]: it needs no labels.
    difference : float
        Mean loss difference that is to be found, as a share of the greatest one.
    level : float
        Of the comparison that is to find it; bets get half of what it leaves, as in `compare`.
    power : float
        Chance to find it, in [0.5, 1).
    autocorrelation : float
        First autocorrelation of the differences, in (-1, 1).

    Returns
    -------
    RowsNeeded
        Rows for one look at the end, and for looks at any time.

    Raises
    ------
    DataError
        If a setting is out of its range, among them a difference of zero: no run is long enough.

    Examples
    --------
    >>> how_long(0.1, 0.03)
    RowsNeeded(fixed=873, betting=1806, betting_typical=1083)
    """
    return rows_needed(disagreement, difference, alpha=(1 - level) / 2, power=power, autocorrelation=autocorrelation)


def while_running(losses: Losses, level: float) -> Comparison:
    """Compare models while rows still come: valid whenever one looks."""
    if losses.weights is not None:
        raise AppError("weights: while rows still come each one counts once. Leave weights out, or look once.")
    bound = _bound(losses)
    return _two(losses, level, bound) if len(losses.names) == 2 else _many(losses, level, bound)


def _bound(losses: Losses) -> float:
    widest = float(np.ptp(losses.losses, axis=1).max())
    if losses.bound is not None:
        if widest > losses.bound * (1 + 1e-12):
            row = int(np.ptp(losses.losses, axis=1).argmax())
            raise DataError(
                f"bound: losses differ by {number(widest)} in row {row}, more than the bound of "
                f"{number(losses.bound)}. Give the range of the loss, or clip the losses."
            )
        return losses.bound
    if losses.losses.min() >= 0 and losses.losses.max() <= 1:
        return 1.0
    raise AppError(
        f"bound: losses reach {number(float(np.abs(losses.losses).max()), 3)}; a comparison that may be looked at "
        "again and again needs the greatest possible difference on a row. Say Losses(..., bound=...), or clip them."
    )


def _two(losses: Losses, level: float, bound: float) -> Comparison:
    a, b = losses.losses.T
    first, second = losses.names
    # Either may tell, so each gets half of what the level leaves; bets get all where labels come late:
    # the interval then speaks of losses expected given labels that had not arrived.
    late = losses.lag > 1
    alpha = (1 - level) if late else (1 - level) / 2
    interval = running_difference(a, b, level=1 - (1 - level) / 2, bound=bound)
    bets = betting(a, b, alpha=alpha, bound=bound, lag=losses.lag)
    n, method = len(a), "confidence sequence and bets"
    why = (
        "one looks while rows still come: these hold at all looks together, where a test repeated at each look finds a "
        "difference between equal models in a third of cases"
    )
    if late:
        why += f"; labels arrive {count(losses.lag)} {losses.unit}s late, so bets are made on every such one apart"
    best = {"a": first, "b": second}.get(bets.finding or "")
    if best is None and not late and (interval.high < 0 or interval.low > 0):
        best = first if interval.high < 0 else second
    together = (best,) if best else (first, second)
    said = [_verdict(losses, best, interval, bets, level), *([] if best else _plan(a, b, bound, level, losses))]
    records = loss_records(losses, blocks_of(losses), together, level, (method, why), {second: turned(interval)})
    pair = pair_record(first, second, interval, n, method)
    p_value = min(1.0, math.exp(-min(_peak(bets), 700.0)))
    pair |= {"p": p_value, "e_value": math.exp(min(bets.log_e, 700.0)), "threshold": bets.threshold}
    pair["settled_at"] = None if bets.stopped_at is None else bets.stopped_at + 1
    return Comparison(method, why, level, n, best, together, records, (pair,), tuple(said))


def _peak(bets: EProcess) -> float:
    """Return the evidence that counts, on a logarithmic scale: at least the threshold once it was passed."""
    return max(bets.log_e, math.log(bets.threshold) if bets.stopped_at is not None else 0.0)


def _verdict(losses: Losses, best: str | None, found: Difference, bets: EProcess, level: float) -> str:
    first, second = losses.names
    n, unit = len(losses.losses), losses.unit
    interval = f"{number(found.estimate, 2)}; {level:.0%} at all looks: {between(found.low, found.high, 2)}"
    if np.array_equal(losses.losses[:, 0], losses.losses[:, 1]):
        return f"{first!r} and {second!r} lose the same on every {unit}: these may be identical models."
    if best:
        other = second if best == first else first
        when = f", settled at {unit} {count(bets.stopped_at + 1)} of {count(n)}" if bets.stopped_at is not None else ""
        wide = " Bets settle it before the interval does." if found.low <= 0 <= found.high else ""
        return f"{best!r} is better than {other!r}{when} (difference {interval}).{wide}"
    evidence = math.exp(min(bets.log_e, 700.0))
    return (
        f"Not settled after {count(n)} {unit}s: {first!r} less {second!r} is {interval}; evidence "
        f"{number(evidence, 2)} of the {number(bets.threshold, 3)} that it takes."
    )


def _plan(a: Floats, b: Floats, bound: float, level: float, losses: Losses) -> list[str]:
    gap = (a - b) / bound
    disagreement, seen = float((gap**2).mean()), abs(float(gap.mean()))
    if not TELLING * disagreement < seen <= disagreement <= 1:
        return ["The difference seen is next to nothing: no run in reach would settle it."] if disagreement else []
    plan = how_long(disagreement, seen, level=level)
    if plan.betting_typical is None:
        return [
            "A difference as small as the one seen is not settled by bets at all; keep the simpler one, or look once."
        ]
    return [
        (
            f"If the true difference is the one seen, half of such runs are settled by {losses.unit} "
            f"{number(plan.betting_typical * losses.lag, 2)}; one look at the end would take "
            f"{number(plan.fixed, 2)} {losses.unit}s."
        )
    ]


def _many(losses: Losses, level: float, bound: float) -> Comparison:
    # The set looks at differences only: every row's least loss is taken for zero.
    above = losses.losses - losses.losses.min(axis=1, keepdims=True)
    found = SequentialSet(len(losses.names), level, 0.0, bound).feed(np.minimum(above, bound))
    method, n = "sequential model confidence set", len(losses.losses)
    why = (
        f"{len(losses.names)} models, and one looks while rows still come: with a chance of {level:.0%} no model that "
        "is nowhere worse than another is dropped, however often one looks"
    )
    means = losses.losses.mean(axis=0)
    together = tuple(losses.names[place] for place in sorted(found.included, key=lambda at: float(means[at])))
    best = together[0] if len(together) == 1 else None
    records = loss_records(losses, blocks_of(losses), together, level, (method, why), {})
    at: dict[str, Record] = {
        name: {"e_value": e_value, "dropped_at": None if row is None else row + 1}
        for name, e_value, row in zip(losses.names, found.e_values, found.dropped, strict=True)
    }
    for record in records:
        record.update(at[record["name"]])
        record["p"] = min(1.0, len(losses.names) / max(record["e_value"], 1e-300))
    said = [set_verdict(together, losses.names, level).replace("confidence set", "at all looks")]
    said += same_ones(losses, twins(losses.losses))
    return Comparison(method, why, level, n, best, together, records, (), tuple(said))
