"""A learned combination of all signals, fitted on the past and scored on what came next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.auditions.cells import Cells
from mlwild.auditions.foresight import FEWEST_PERIODS, Draws, ranked
from mlwild.stats.ranking import weighted_auc
from mlwild.wording import between, number

Floats = NDArray[np.float64]

#: Blocks of periods that are scored, one after the other; share of the periods that the first fit learns from.
BLOCKS, FIRST = 6, 0.4
_RIDGE = 10.0
_FEWEST_CELLS = 40


def combined(signals: Floats, cells: Cells, delay: int) -> Floats:
    """
    Return the rise that a ridge regression on all signals foretold, from earlier periods alone.

    Parameters
    ----------
    signals : ndarray of shape (n_monitors, n_cells)
        NaN where a monitor had nothing to say: taken as its mean.
    cells : Cells
    delay : int
        Periods after its end until a period's labels are known.

    Returns
    -------
    ndarray of shape (n_cells,)
        NaN for the periods that were only learned from.
    """
    made = np.full(len(cells), np.nan)
    periods = cells.periods
    begins = np.unique(np.linspace(FIRST * len(periods), len(periods), BLOCKS + 1).astype(np.int64))
    for low, high in pairwise(begins):
        opens = periods[low]
        learned = cells.period + delay < opens
        asked = (cells.period >= opens) & (cells.period <= periods[high - 1])
        if learned.sum() < _FEWEST_CELLS or not asked.any():
            continue
        made[asked] = _ridge(signals[:, learned].T, cells.rise[learned], signals[:, asked].T)
    return made


def _ridge(inputs: Floats, target: Floats, asked: Floats) -> Floats:
    known = np.isfinite(inputs).mean(axis=0) > 0.5
    inputs, asked = inputs[:, known], asked[:, known]
    mean, spread = np.nanmean(inputs, axis=0), np.nanstd(inputs, axis=0)
    kept = spread > 1e-12
    scaled = [
        np.clip(np.where(np.isfinite(side), (side - mean) / np.where(kept, spread, 1.0), 0.0), -4, 4)[:, kept]
        for side in (inputs, asked)
    ]
    centre = float(target.mean())
    gram = scaled[0].T @ scaled[0] + _RIDGE * np.eye(int(kept.sum()))
    return np.asarray(centre + scaled[1] @ np.linalg.solve(gram, scaled[0].T @ (target - centre)))


def combination(
    signals: Floats, names: Sequence[str], cells: Cells, events: NDArray[np.bool_], draws: Draws, delay: int
) -> dict[str, Any]:
    """
    Say whether a combination of all signals is worth having: its lead over the best single one.

    The best is the one that was best on the very cells that are scored, which favours it.
    """
    values = combined(signals, cells, delay)
    scored = np.isfinite(values)
    n = len(np.unique(cells.period[scored]))
    made: dict[str, Any] = {"offered": False, "n": n, "level": draws.level}
    figures = ("estimate", "low", "high", "advantage", "advantage_low", "advantage_high")
    made |= dict.fromkeys(figures, None) | {"best_single": None}
    if n < FEWEST_PERIODS or not events[scored].any() or events[scored].all():
        return made | {
            "why": f"{n} periods are too few to learn a combination and to try it; it takes {FEWEST_PERIODS}"
        }
    one = np.ones((1, int(scored.sum())))
    filled = np.where(np.isfinite(signals), signals, np.nanmin(np.where(np.isfinite(signals), signals, np.inf)))
    areas = [float(weighted_auc(row[scored], events[scored], one)[0]) for row in filled]
    best = int(np.argmax(areas))
    area, _, lead = ranked(values, cells.rise, events, draws, np.where(scored, filled[best], np.nan))
    made |= {
        "best_single": names[best],
        "offered": bool(lead.low > 0),
        "estimate": _known(area.estimate),
        "low": _known(area.low),
        "high": _known(area.high),
        "advantage": _known(lead.estimate),
        "advantage_low": _known(lead.low),
        "advantage_high": _known(lead.high),
    }
    than = f"than {names[best]!r} by {number(lead.estimate, 2)} ({between(lead.low, lead.high, 2)}) over {n} periods"
    better = "ranks better" if lead.estimate > 0 else "does not rank better"
    said = f"learned from earlier periods alone, it {better} {than}"
    return made | {"why": said if lead.low > 0 else f"{said}: not offered"}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
