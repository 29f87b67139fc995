"""Every stressor at every severity on everything it applies to: what the model loses, and where it stops answering."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import MlwildError
from mlwild.gate.bounds import ALPHA, Bounds, bounds_of
from mlwild.gate.held import Held
from mlwild.gate.trial import Trial
from mlwild.stats.bootstrap import resampled_interval
from mlwild.stats.reweighting import effective_sample_size
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
        """The worst answered case: the greatest mean loss; None where no stressor applied or was answered."""
        answered = [
            (curve, point)
            for curve in self.curves
            for point in curve.points
            if not point.fault and not math.isnan(point.loss)
        ]
        return max(answered, key=lambda pair: pair[1].loss) if answered else None


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

    Cases are searched on one half of the rows and confirmed on the other, so that the loss shown of the worst of
    many is no luck. The whole curve is made of the cases that hurt most at the greatest severity.

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
        held = held.where(np.linspace(0, len(held) - 1, rows).round().astype(np.int64))
    calm = Situation(trial, trial.model, held)
    clean = _point(calm, 0.0, slice(1, None, 2), lambda: calm)
    curves, left_out, searched = [], [], 0
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
        ranked = sorted(cases, key=lambda case: -_hurt(calm, stressor, case, seed))
        made = [_curve(calm, stressor, case, limit, tried, seed) for case in ranked[:CURVES]]
        curves.append(max(made, key=lambda curve: math.inf if curve.worst.fault else curve.worst.loss))
    order = sorted(curves, key=lambda curve: -(math.inf if curve.worst.fault else curve.worst.loss))
    return Stressed(clean, limit, limit_is, tuple(order), searched, tuple(left_out))


def case_rng(stressor: Stressor, case: str, seed: int) -> np.random.Generator:
    """Return random numbers of a case: the same at every severity, so that a curve is no play of chance."""
    return np.random.default_rng([seed, zlib.crc32(stressor.name.encode()), zlib.crc32(case.encode())])


def _hurt(calm: Situation, stressor: Stressor, case: str, seed: int) -> float:
    """Return the mean loss of a case at its greatest severity, on the rows that it is chosen by."""
    severity = stressor.severities[-1]
    point = _point(
        calm, severity, slice(0, None, 2), lambda: stressor.apply(calm, case, severity, case_rng(stressor, case, seed))
    )
    return math.inf if point.fault else -math.inf if math.isnan(point.loss) else point.loss


def _curve(calm: Situation, stressor: Stressor, case: str, limit: float, tried: int, seed: int) -> Curve:
    points = tuple(
        _point(
            calm,
            severity,
            slice(1, None, 2),
            lambda severity=severity: stressor.apply(calm, case, severity, case_rng(stressor, case, seed)),  # type: ignore[misc]
        )
        for severity in stressor.severities
    )
    failing = [point.severity for point in points if point.fault or point.low > limit]
    return Curve(stressor.name, unit_of(stressor), case, points, min(failing, default=math.nan), tried)


def _point(calm: Situation, severity: float, half: slice, make: Callable[[], Situation]) -> Point:
    """Return what a situation loses on half of its rows; what the model raises is a fault, and told."""
    try:
        under = make()
        part = under.held.where(np.arange(len(calm.held))[half])
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
        return bounds_of(model.losses(held), weights=weights, alpha=alpha)
    predicted = model.predictions(held)
    found = resampled_interval(
        lambda at: model.loss.of_set(held.labels[at], predicted[at]), len(held), level=1 - 2 * alpha
    )
    radius = (found.high - found.low) / 2
    return Bounds(found.estimate, found.low, found.high, radius / 1.645, len(held), "bootstrap")


def mean_loss(held: Held, losses: Floats) -> float:
    """Return the mean of some losses, weighted as the rows are."""
    return float(np.average(losses, weights=held.weight)) if len(held) else math.nan
