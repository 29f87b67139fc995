"""Every stressor at every severity on everything it applies to: what the model loses, and where it stops answering."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError, MlwildError
from mlwild.gate.bounds import ALPHA, FEWEST_IN_ORDER, Bounds, bounds_of
from mlwild.gate.held import Held
from mlwild.gate.trial import Trial
from mlwild.stats.bootstrap import resampled_interval
from mlwild.stats.reweighting import effective_sample_size
from mlwild.stats.slices import halves
from mlwild.stressors.population import Only
from mlwild.stressors.situation import Situation, Stressor, unit_of

Floats = NDArray[np.float64]

#: Rows that cases are searched on, evenly spaced; of them every second one confirms. Cases with a whole curve.
ROWS, CURVES = 6_000, 3
#: Fewest rows that a reweighted mean may rest on.
FEWEST = 30


@dataclass(frozen=True)
class Point:
    """
    One severity of a case.

    Parameters
    ----------
    severity : float
    loss, low, high : float
        Mean loss with one-sided bounds on rows that the case was not chosen by; NaN where there is none.
    n : int
        Rows, or the effective number where they are reweighted.
    fault : str
        Why there is no answer, or empty.
    """

    severity: float
    loss: float
    low: float
    high: float
    n: int
    fault: str = ""


@dataclass(frozen=True)
class Curve:
    """
    A stressor on what it hurts most.

    Parameters
    ----------
    stressor, unit : str
    case : str
        What it was applied to.
    points : tuple of Point
        By severity.
    fails_at : float
        Least severity at which the loss is above the limit for certain, or there is no answer; NaN if none.
    searched : int
        Cases by severities that the curve was found among.
    """

    stressor: str
    unit: str
    case: str
    points: tuple[Point, ...]
    fails_at: float
    searched: int

    @property
    def worst(self) -> Point:
        """The point of the greatest loss; one without an answer if there is one."""
        unanswered = [point for point in self.points if point.fault]
        return unanswered[0] if unanswered else max(self.points, key=lambda point: point.loss)


@dataclass(frozen=True)
class Stressed:
    """
    All stressors on one candidate.

    Parameters
    ----------
    clean : Point
        Without stress, on the same rows.
    limit : float
        Loss that a gate would ask for at most.
    limit_is : str
        What that is.
    curves : tuple of Curve
        The worst first.
    searched : int
        Cases by severities in all.
    left_out : tuple of (str, str)
        Stressors that do not apply, and why.
    """

    clean: Point
    limit: float
    limit_is: str
    curves: tuple[Curve, ...]
    searched: int
    left_out: tuple[tuple[str, str], ...]

    @property
    def reasons(self) -> dict[str, list[str]]:
        """What was left out, by reason."""
        made: dict[str, list[str]] = {}
        for name, why in self.left_out:
            made.setdefault(why, []).append(name)
        return made

    @property
    def worst(self) -> tuple[Curve, Point] | None:
        """
        The worst answered case: the greatest bound; None where no stressor applied or was answered.

        What rests on too few rows to have a bound is no worst case.
        """
        answered = [
            (curve, point)
            for curve in self.curves
            for point in curve.points
            if not point.fault and math.isfinite(point.high)
        ]
        return max(answered, key=lambda pair: pair[1].high) if answered else None

    @property
    def why_no_worst(self) -> str:
        """Say why there is no worst case; empty where there is one."""
        if self.worst is not None:
            return ""
        if not self.curves:
            return "no stress applies"
        answered = [point.n for curve in self.curves for point in curve.points if not point.fault]
        if not answered:
            return "the model answers under none that applies"
        if max(answered) < FEWEST_IN_ORDER:
            return f"none was answered on more than {max(answered)} rows, and a bound takes {FEWEST_IN_ORDER}"
        return f"no loss under stress has a bound, on {max(answered):,} rows at most"

    @property
    def mute(self) -> list[tuple[Curve, Point]]:
        """Where there was no answer, and the first severity of each."""
        made = []
        for curve in self.curves:
            first = next((point for point in curve.points if point.fault), None)
            if first is not None:
                made.append((curve, first))
        return made


def stressed(
    trial: Trial,
    stressors: Sequence[Stressor],
    *,
    limit: float,
    limit_is: str,
    rows: int = ROWS,
    seed: int = 0,
    said: Callable[[str], None] | None = None,
) -> Stressed:
    """
    Put a candidate under every stressor.

    Cases and severities are searched on one half of the rows and confirmed on the other, so that the loss shown of the
    worst of many is no luck. The whole curve is made of the cases that hurt most; where a case has no answer, it is
    shown beside the worst one that has.

    Parameters
    ----------
    trial : Trial
    stressors : sequence of Stressor
    limit : float
        Loss above which a gate would fail.
    limit_is : str
    rows : int
        Rows on trial that are used, evenly spaced.
    seed : int
    said : callable, optional
        Called with the name of each stressor.

    Returns
    -------
    Stressed
    """
    held = trial.events
    if len(held) > rows:
        # By chance: rows of several sensors take turns, and every other one may be one sensor's.
        held = held.where(np.sort(np.random.default_rng(seed).choice(len(held), rows, replace=False)))
    calm = Situation(trial, trial.model, held)
    searching = halves(len(held), period=held.period, seed=seed)
    clean = _point(calm, 0.0, ~searching, lambda: calm)
    curves: list[Curve] = []
    left_out, searched = [], 0
    for stressor in stressors:
        # A published forecast has no features: it is told of other rows at most.
        blind = trial.model.raw is None and not isinstance(stressor, Only)
        cases = [] if blind else list(stressor.cases(calm))
        if not cases:
            why = "a published forecast has no features" if blind else "there is nothing that it applies to"
            left_out.append((stressor.name, why))
            continue
        if said is not None:
            said(stressor.name)
        tried = len(cases) * len(stressor.severities)
        searched += tried
        found = {case: _points(calm, stressor, case, searching, seed) for case in cases}
        ranked = sorted(cases, key=lambda case: -_hurt(found[case]))
        made = [_curve(calm, stressor, case, limit, (~searching, tried, seed)) for case in ranked[:CURVES]]
        shown = max(made, key=_answered)
        curves.append(shown)
        mute = next((case for case in cases if any(point.fault for point in found[case])), None)
        if mute is not None and not any(point.fault for point in shown.points):
            curves.append(_curve(calm, stressor, mute, limit, (~searching, tried, seed)))
    order = sorted(curves, key=lambda curve: -(math.inf if curve.worst.fault else curve.worst.loss))
    return Stressed(clean, limit, limit_is, tuple(order), searched, tuple(left_out))


def case_rng(stressor: Stressor, case: str, seed: int) -> np.random.Generator:
    """Return random numbers of a case: the same at every severity, so that a curve is no play of chance."""
    return np.random.default_rng([seed, zlib.crc32(stressor.name.encode()), zlib.crc32(case.encode())])


def _points(calm: Situation, stressor: Stressor, case: str, half: NDArray[np.bool_], seed: int) -> tuple[Point, ...]:
    """Return the points of a case on one half of the rows, one a severity."""

    def made(severity: float) -> Situation:
        under = stressor.apply(calm, case, severity, case_rng(stressor, case, seed))
        if len(under.held) != len(calm.held) or not np.array_equal(under.held.rows, calm.held.rows):
            raise AppError(
                f"stressors: {stressor.name!r} returned {len(under.held):,} rows for {len(calm.held):,}, or others. "
                "Return the same rows, in the same order."
            )
        return under

    return tuple(
        _point(calm, severity, half, lambda severity=severity: made(severity))  # type: ignore[misc]
        for severity in stressor.severities
    )


def _hurt(points: Sequence[Point]) -> float:
    """Return the greatest mean loss of a case that was answered."""
    return max((point.loss for point in points if not point.fault and not math.isnan(point.loss)), default=-math.inf)


def _answered(curve: Curve) -> float:
    return _hurt(curve.points)


def _curve(
    calm: Situation, stressor: Stressor, case: str, limit: float, how: tuple[NDArray[np.bool_], int, int]
) -> Curve:
    half, tried, seed = how
    points = _points(calm, stressor, case, half, seed)
    failing = [point.severity for point in points if point.fault or point.low > limit]
    return Curve(stressor.name, unit_of(stressor), case, points, min(failing, default=math.nan), tried)


def _point(calm: Situation, severity: float, half: NDArray[np.bool_], make: Callable[[], Situation]) -> Point:
    """Return what a situation loses on half of its rows; what the model raises is a fault, and told."""
    try:
        under = make()
        part = under.held.where(half)
        found = loss_bounds(under.with_held(part))
    except (MlwildError, MemoryError):
        raise
    except Exception as problem:  # noqa: BLE001  the user's model may raise anything under stress; that is the finding
        said = " ".join(str(problem).split()).split(". ")[0]
        why = f"{type(problem).__name__}: {said[:200]}"
        return Point(severity, math.nan, math.nan, math.nan, len(calm.held), why)
    n = round(effective_sample_size(part.weight)) if np.ptp(part.weight) > 0 else len(part)
    if n < FEWEST:
        return Point(severity, found.estimate, math.nan, math.nan, n)
    return Point(severity, found.estimate, found.low, found.high, n)


def loss_bounds(situation: Situation, alpha: float = ALPHA) -> Bounds:
    """Return the mean loss of a situation with one-sided bounds; a loss of sets by resampling rows."""
    model, held = situation.model, situation.held
    if model.loss.per == "row":
        weights = None if np.ptp(held.weight) == 0 else held.weight
        return bounds_of(model.losses(held), weights=weights, entities=held.entity, alpha=alpha)
    predicted = model.predictions(held)
    found = resampled_interval(
        lambda at: model.loss.of_set(held.labels[at], predicted[at]), len(held), level=1 - 2 * alpha
    )
    radius = (found.high - found.low) / 2
    return Bounds(found.estimate, found.low, found.high, radius / 1.645, len(held), "bootstrap")


def mean_loss(held: Held, losses: Floats) -> float:
    """Return the mean of some losses, weighted as the rows are."""
    return float(np.average(losses, weights=held.weight)) if len(held) else math.nan
