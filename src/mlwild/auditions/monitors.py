"""What each monitor saw coming, against what the labels revealed later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.cells import Cells, Truth, cells_of, heard, truth_of
from mlwild.auditions.foresight import EVENTS, Draws, Figure, draws_of, events_of, ranked
from mlwild.auditions.leads import AHEAD, TOLERATED, lead_time
from mlwild.auditions.mixture import combination
from mlwild.monitors import DEFAULT, Age, Monitor, ReferenceLoss, Signal
from mlwild.monitors.signal import kind_of, needs_shadow, objection
from mlwild.monitors.weights import one_thread
from mlwild.records import Vintage
from mlwild.triangle import Triangle
from mlwild.wording import between, number

Floats = NDArray[np.float64]

#: Cells below which nothing is judged.
FEWEST_CELLS = 20


def audit_monitors(
    triangles: Sequence[Triangle],
    monitors: Sequence[Monitor],
    *,
    start: Vintage,
    level: float = 0.9,
    seed: int = 0,
    above: float | None = None,
) -> dict[str, Any]:
    """
    Hold every monitor's signals against degradation as the labels later revealed it; nothing is fitted.

    The living model's first seed and first window are read. Degradation is the rise of the loss above that of
    the vintage's reference (the periods before it was made), split into difficulty, what the freshest vintage
    lost too, and staleness. A monitor earns its place if it tells degraded periods from others better than
    chance and better than the control, with the lower ends of both intervals; for staleness, which alone is a reason
    to retrain, it must beat the vintage's age as well.

    Parameters
    ----------
    triangles : sequence of Triangle
        The living model's first.
    monitors : sequence of Monitor
        From `mlwild.monitors.standard`, or the user's.
    start : Vintage
        The first in place: its signals are the series of a model that is never retrained.
    level : float
        Of the intervals, by resampling blocks of periods.
    seed : int
    above : float, optional
        Rise of the loss that counts as degradation; default that of the upper quarter of the cells.

    Returns
    -------
    dict
        ``monitors``, one record each, best first, and ``monitor_audition``: the default set, what counted as
        an event, the learned combination, what was left out and why, and the loss itself by period.
    """
    triangle = triangles[0]
    window = str(triangle.survey.app.windows[0])
    loss = triangle.survey.loss
    left_out = [{"name": monitor.name, "why": why} for monitor in monitors if (why := objection(monitor, loss))]
    used = [monitor for monitor in monitors if not objection(monitor, loss)]
    truth = truth_of(triangle, window)
    cells = cells_of(triangle, window, truth)
    facts: dict[str, Any] = {
        "level": level,
        "cells": len(cells),
        "n": len(cells.periods),
        "reference_periods": int(np.median(_reference_sizes(triangle, window))) if len(cells) else 0,
        "left_out": left_out,
        "remarks": [f"{column.name} {column.remark}" for column in triangle.scenes.sketches.columns if column.remark],
        **_series_of_truth(truth, start),
    }
    why = "" if used else "there is no monitor that suits the loss" if monitors else "the app names no monitor"
    if len(cells) < FEWEST_CELLS:
        why = f"{len(cells)} cells with labels are too few to judge monitors by; it takes {FEWEST_CELLS}"
    if why:
        return {
            "monitors": [],
            "monitor_audition": {**facts, "default": [DEFAULT.name], "for_staleness": [], "why": why},
        }
    signals = heard(triangle, window, cells, [*used, ReferenceLoss(), Age()])
    controls, signals = {"rise": signals[-2:-1], "difficulty": signals[-2:-1], "staleness": signals[-2:]}, signals[:-2]
    draws = draws_of(cells, level, seed)
    events, threshold = events_of(cells.rise, above)
    looks = triangle.looks_per_year()
    records = []
    for row, monitor in enumerate(used):
        made = _record(monitor, signals[row], controls, cells, draws, above)
        made["lead"] = lead_time(signals[row], events, cells, looks)
        with one_thread():
            records.append({**made, **_said(triangle, window, start, monitor)})
    facts |= {
        "threshold": threshold,
        "events": float(events.mean()),
        "event": _event_words(above, threshold, loss.title),
        "tolerated": "one false alarm a year of looks" if looks else f"false alarms at {TOLERATED:.0%} of looks",
        "ahead": AHEAD,
        "looks_per_year": looks,
        "combination": combination(
            signals, [monitor.name for monitor in used], cells, events, draws, triangle.survey.grid.usual_delay
        ),
        **_default(records),
    }
    records.sort(key=lambda record: (record["estimate"] is None, -(record["estimate"] or 0.0)))
    return {"monitors": records, "monitor_audition": facts}


def _reference_sizes(triangle: Triangle, window: str) -> list[int]:
    spans = [triangle.scenes.span(vintage) for vintage in triangle.scores if vintage.window == window]
    return [span.stop - span.start for span in spans]


def _event_words(above: float | None, threshold: float, loss: str) -> str:
    if above is not None:
        return f"{loss} more than {number(above, 3)} above that of the reference, as you named it"
    said = f"more than {number(threshold, 3)} above that of the reference"
    if threshold < 0:
        said = f"above that of the reference, or less than {number(-threshold, 3)} below it"
    return f"{loss} {said}: the upper {EVENTS:.0%} of the cells"


def _record(
    monitor: Monitor,
    values: Floats,
    controls: Mapping[str, Floats],
    cells: Cells,
    draws: Draws,
    above: float | None,
) -> dict[str, Any]:
    """Return how well a monitor ranked each kind of degradation."""
    kind = kind_of(monitor)
    found = {}
    for name, rivals in controls.items():
        target = getattr(cells, name)
        events, _ = events_of(target, above if name == "rise" else None)
        # A control is compared with where both speak; the hardest one counts.
        tried = [ranked(values, target, events, draws, rival) for rival in rivals]
        area, rank, _ = ranked(values, target, events, draws)
        lead = min((one[2] for one in tried), key=lambda figure: figure.low if np.isfinite(figure.low) else np.inf)
        earned = bool(kind != "control" and area.low > 0.5 and lead.low > 0)
        found[name] = area, rank, lead, earned
    area, _, lead, earned = found["rise"]
    periods = len(np.unique(cells.period[np.isfinite(values)]))
    return {
        "name": monitor.name,
        "kind": kind,
        "shadows": needs_shadow(monitor),
        "estimate": finite(area.estimate),
        "low": finite(area.low),
        "high": finite(area.high),
        "n": periods,
        "method": "AUC for a rise of the loss; blocks of periods resampled",
        "why": _why(area, lead, kind, periods, earned=earned),
        "against": {
            name: _figure("auc", one[0])
            | _figure("rank", one[1])
            | _figure("over_control", one[2])
            | {"earned": one[3]}
            for name, one in found.items()
        },
        "earned": earned,
    }


def _figure(name: str, figure: Figure) -> dict[str, float | None]:
    values = {name: figure.estimate, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return {key: finite(value) for key, value in values.items()}


def finite(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None


def _why(area: Figure, lead: Figure, kind: str, periods: int, *, earned: bool) -> str:
    if not np.isfinite(area.estimate):
        return "it had too little to say to be judged"
    said = f"of two cells it told the worse in {area.estimate:.0%} of cases over {periods} periods"
    if kind == "control":
        return f"{said}; a control, which no default rests on"
    if earned:
        return f"{said}, beyond chance and beyond the control (by {number(lead.estimate, 2)})"
    if not area.low > 0.5:
        return f"{said}: not beyond chance"
    return f"{said}: not beyond the control, which knows nothing of the period ({between(lead.low, lead.high, 2)})"


def _said(triangle: Triangle, window: str, start: Vintage, monitor: Monitor) -> dict[str, Any]:
    """Return what a monitor said by period: of the freshest vintage, and of one that is never retrained."""
    n = triangle.survey.grid.periods
    fresh, never, last, now = [], [], None, None
    for k in range(n):
        vintage = Vintage(k, window)
        now = triangle.signal(vintage, k + 1, monitor) if vintage in triangle.scores else None
        fresh.append(None if now is None else finite(now.value))
        last = now or last
        old = triangle.signal(start, k + 1, monitor) if k >= start.cutoff else None
        never.append(None if old is None else finite(old.value))
    refuted = triangle.refutation(monitor, window) if now is not None and np.isfinite(now.estimate) else None
    grey = None
    if refuted is not None and (why := refuted.by(n)):
        grey = {"cutoff": refuted.at, "why": why}
    return {"grey": grey, "latest": _latest(last), "series": fresh, "series_never": never}


def _latest(signal: Signal | None) -> dict[str, Any] | None:
    if signal is None:
        return None
    names = ("value", "estimate", "low", "high", "effective_n")
    return {name: finite(getattr(signal, name)) for name in names} | {"support": signal.support, "why": signal.why}


def _series_of_truth(truth: Truth, start: Vintage) -> dict[str, Any]:
    """Return the rise of the loss by period, of the freshest vintage and of one that is never retrained."""
    fresh = np.diag(truth.loss) - truth.reference
    never = truth.loss[start.cutoff] - truth.reference[start.cutoff]
    return {"series": [finite(value) for value in fresh], "series_never": [finite(value) for value in never]}


def _default(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the set that earned its place; where none did, the labelled loss at its delay is kept."""
    earned = [record["name"] for record in records if record["earned"]]
    stale = [record["name"] for record in records if record["against"]["staleness"]["earned"]]
    why = f"{len(earned)} of {len(records)} told degradation beyond chance and control"
    if not earned:
        why = f"none of {len(records)} earned it: the labelled loss is watched, at its delay"
    return {"default": earned or [DEFAULT.name], "for_staleness": stale, "why": why}
