"""The vector of worst cases of what went live."""

from __future__ import annotations

import math

import numpy as np

from mlwild.stats.block_means import FEWEST_BLOCKS
from mlwild.stats.regimes import regimes
from mlwild.stats.worst import serial_upper, worst_groups, worst_subpopulation
from mlwild.wording import count, number
from mlwild.worstcase.certificates import LEVEL, WINDOW, certify, periods_of
from mlwild.worstcase.curves import Stressed
from mlwild.worstcase.live import Live
from mlwild.worstcase.report import WorstCase
from mlwild.worstcase.searched import SEARCHED, SHARE, Attributes, fit_mean, worst_slice


def of_groups(live: Live, cutoff: int, fewest: int) -> WorstCase | None:
    """Return the declared group with the highest bound, of bounds that hold for all groups at once."""
    known = live.known(cutoff)
    groups = [(name, rows & known) for name, rows in live.groups if (rows & known).sum() >= fewest]
    if not groups:
        return None
    members = np.column_stack([rows[known] for _, rows in groups])
    period = live.period[known]
    blocks = period if len(np.unique(period)) >= 8 else None
    found = worst_groups(live.losses[known], members, weights=live.weight[known], blocks=blocks, level=LEVEL)
    place = found.worst
    share = float(found.n[place] / known.sum())
    what, most = groups[place][0], found.worst_seen
    if most != place:  # the worst is the one that may lose most, which need not be the one that did
        seen, high = number(found.estimates[most]), number(found.highs[most])
        what += f" (most was lost in {groups[most][0]}: {seen}, at most {high})"
    return WorstCase(
        "group",
        what,
        float(found.estimates[place]),
        float(found.highs[place]),
        LEVEL,
        int(found.n[place]),
        "rows",
        found.searched,
        f"{share:.1%} of all rows",
    )


def of_subpopulation(attributes: Attributes, cutoff: int) -> WorstCase | None:
    """Return the worst subpopulation of a tenth of the rows, over all features."""
    live = attributes.live
    places = attributes.newest(live.known(cutoff), SEARCHED)
    if len(places) < 200:
        return None
    found = worst_subpopulation(
        live.losses[places], attributes.matrix[places], share=SHARE, fit_mean=fit_mean, level=LEVEL
    )
    what = f"the {SHARE:.0%} of rows that the features say are hardest"
    often = f"{SHARE:.0%} of all rows, by choice"
    return WorstCase("subpopulation", what, found.estimate, found.high, LEVEL, len(places), "rows", 1, often)


def of_slice(attributes: Attributes, cutoff: int) -> WorstCase | None:
    """Return the worst slice that was found, as the rows say that it was not found on."""
    made = worst_slice(attributes, cutoff)
    if made is None:
        return None
    told = "" if made.first.confirmed else " (not confirmed: chance explains it)"
    share = float(made.inside[attributes.live.known(cutoff)].mean())
    return WorstCase(
        "slice",
        made.condition + told,
        made.first.mean,
        made.first.high,
        LEVEL,
        made.first.n,
        "rows",
        made.found.searched,
        f"{share:.1%} of all rows",
        confirmed=made.first.confirmed,
    )


def of_history(live: Live, cutoff: int) -> list[WorstCase]:
    """Return the worst period and window so far, with a bound for the worst of the next dozen."""
    made = []
    for window in (1, WINDOW):
        series = periods_of(live, cutoff, window)
        if len(series.values) < window:
            continue
        found = certify(series, live, horizon=12)
        tried = len(series.values) - window + 1
        what = f"{series.what}, from {found.when}"
        often = f"once in {count(tried)}"
        if not math.isnan(found.high):
            often += f"; the bound is for the worst of the next {found.horizon} periods"
        made.append(WorstCase(series.kind, what, found.seen, found.high, LEVEL, found.n, "periods", tried, often))
    return made


def of_regime(live: Live, cutoff: int) -> tuple[WorstCase | None, list[tuple[str, tuple[int, ...]]]]:
    """Return the worst regime of the history, found from its periods; and all regimes with their periods."""
    known = live.known(cutoff)
    periods, means = live.means(known)
    if len(periods) < 12:
        return None, []
    rows = np.bincount(live.period[known], minlength=live.periods)[periods].astype(np.float64)
    found = regimes(np.column_stack([means, np.log(rows)]))
    if found.number == 1:
        return None, []
    names = [f"regime {kind + 1} of {found.number}" for kind in range(found.number)]
    parts = [(names[kind], tuple(int(k) for k in periods[found.label == kind])) for kind in range(found.number)]
    last = found.number - 1  # ordered by their mean loss
    mine = means[found.label == last]
    high = serial_upper(mine, 1 - LEVEL) if len(mine) >= FEWEST_BLOCKS else math.nan
    shown = f"{parts[last][0]}, such as {live.shown(parts[last][1][0])}"
    often = (
        f"{len(mine)} of {len(periods)} periods, found from their losses; the next is of the same regime with chance "
        f"{found.stays:.2f}"
    )
    made = WorstCase("regime", shown, float(mine.mean()), high, LEVEL, len(mine), "periods", found.number, often)
    return made, parts


def of_stress(stressed: Stressed, often: str) -> WorstCase | None:
    """Return the worst stress within the declared severities that the model still answered."""
    found = stressed.worst
    if found is None:
        return None
    curve, point = found
    what = f"{curve.stressor} in {curve.case} ({point.severity:g} {curve.unit})".replace(" )", ")")
    high = point.high if not math.isnan(point.high) else math.nan
    return WorstCase("stress", what, point.loss, high, LEVEL, point.n, "rows", stressed.searched, often)
