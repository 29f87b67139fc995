"""Checks of times, labels and duplicates."""

from __future__ import annotations

import numpy as np

from mlwild.checks.findings import Finding
from mlwild.clock import NEVER, Times
from mlwild.digest import row_hashes
from mlwild.events import Events
from mlwild.triangle import Survey

SHARES = (0.5, 0.9, 0.95, 0.99)


def label_maturity(survey: Survey) -> tuple[Finding, dict[str, float | None]]:
    """
    Return the delays after which 50, 90, 95 and 99 % of labels are known.

    Labels that have not arrived are counted as arriving later than what has been seen of them, by
    the estimator of Kaplan and Meier.

    References
    ----------
    .. [1] Kaplan, E. L., & Meier, P. (1958). JASA, 53(282), 457-481.
    """
    from scipy.stats import CensoredData, ecdf

    seen = max(int(survey.time.max()), int(survey.known_at[survey.known_at != NEVER].max()))
    arrived = survey.known_at != NEVER
    unit = 1.0 if survey.clock.kind == "tick" else 86_400e9
    delay = np.where(arrived, survey.known_at - survey.time, seen - survey.time) / unit
    curve = ecdf(CensoredData(uncensored=delay[arrived], right=delay[~arrived])).cdf
    made: dict[str, float | None] = {}
    for share in SHARES:
        reached = np.flatnonzero(curve.probabilities >= share)
        made[f"{100 * share:g}%"] = float(curve.quantiles[reached[0]]) if len(reached) else None
    word = "ticks" if survey.clock.kind == "tick" else "days"
    parts = ", ".join(f"{name} {'never' if at is None else f'{at:.3g}'}" for name, at in made.items())
    never = int((~arrived).sum())
    said = f"{word} until labels are known: {parts}; {never:,} of {len(arrived):,} labels never arrived"
    return Finding("label maturity", "note", said), made


def labels(events: Events) -> list[Finding]:
    """Report labels that changed, and those whose event is not there, where labels have a table of their own."""
    if events.told is None:
        return []
    said = events.told.said
    if said:
        return [Finding("labels", "note", said)]
    return [Finding("labels", "pass", f"{events.told.rows:,} labels, each of an event, none changed")]


def duplicates(survey: Survey) -> Finding:
    """Count events that are the same in time, features and label."""
    import pyarrow as pa

    rows = pa.table({"time": survey.time, "features": survey.hashes, "label": survey.labels})
    _, counts = np.unique(row_hashes(rows), return_counts=True)
    repeats = int((counts - 1).sum())
    if not repeats:
        return Finding("duplicates", "pass", "no event occurs twice")
    share = repeats / len(survey.time)
    said = f"{repeats:,} of {len(survey.time):,} events ({share:.1%}) repeat another in time, features and label"
    return Finding("duplicates", "note", said)


def times(events: Events) -> list[Finding]:
    """Report the zone, the order, and what daylight saving does to the times."""
    clock = events.clock
    made = []
    if clock.kind == "naive":
        said = (
            "times have no zone: days begin at their midnight, and the hour that comes twice when clocks go back "
            "cannot be told apart; give the column a zone if it is local time"
        )
        made.append(Finding("time zone", "note", said))
    elif clock.kind == "instant":
        made.append(Finding("time zone", "pass", f"times are in {clock.zone}; days begin at midnight there"))
    elif _digits_of_dates(events.time):
        said = (
            f"times are integers that read as dates, such as {events.time[0]}: counted so, months do not follow each "
            "other, and no period or delay is what it seems; make times of them in `data`"
        )
        made.append(Finding("time zone", "note", said))
    else:
        made.append(Finding("time zone", "pass", "times are integers"))
    steps = np.diff(events.time)
    ties = int((steps == 0).sum())
    said = f"{len(events):,} events in order of time, {ties:,} at the same instant as the one before (kept together)"
    made.append(Finding("order", "pass", said))
    if len(steps) and np.median(steps) > 0 and steps.max() > 1000 * np.median(steps):
        at = int(np.argmax(steps))
        since = clock.show(int(events.time[at]))
        said = f"the longest gap without an event is {clock.span(float(steps[at]))}, from {since}"
        made.append(Finding("gaps", "note", said))
    return made


def _digits_of_dates(times: Times) -> bool:
    """
    Say whether integers are dates written as numbers: 20260131, or 202601 of a month.

    Examples
    --------
    >>> _digits_of_dates(np.array([20251231, 20260101])), _digits_of_dates(np.array([202512, 202601]))
    (True, True)
    >>> _digits_of_dates(np.arange(20260101, 20260199))
    False
    """
    for days, months in ((times % 100, times // 100), (np.ones_like(times), times)):
        years, month = months // 100, months % 100
        dates = (years >= 1900) & (years <= 2100) & (month >= 1) & (month <= 12) & (days >= 1) & (days <= 31)
        if len(times) and dates.all():
            return True
    return False
