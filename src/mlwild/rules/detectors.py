"""Rules that watch the live vintage's errors, row by row, in order of arrival."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlwild.errors import AppError, MissingPackageError
from mlwild.records import Keep, Retrain
from mlwild.rules.view import Decision, Floats, View
from mlwild.stats.bounds import upper_bound
from mlwild.stats.edetector import EDetector


@dataclass(frozen=True)
class _Watch:
    """Memory of a detector rule: which deployment it watches, and how far it has come."""

    since: int
    reference: Floats
    detector: Any = None
    top: float = 1.0


@dataclass(frozen=True)
class OnEDetector:
    """
    Retrain on the alarm of an e-detector for a rise of the live vintage's mean loss.

    The baseline is an upper confidence bound from the first `reference` labels of each deployment,
    so that the mean time between false alarms is at least `run_length` rows, with confidence
    ``1 - delta``. Losses without an upper bound are cut off at the reference's 99th percentile.

    Parameters
    ----------
    run_length : float
        Mean number of rows between false alarms, at least.
    reference : int
        Labels that the baseline is taken from.
    delta : float
        Chance that the baseline is too low.
    window : str, optional

    References
    ----------
    .. [1] Shin, J., Ramdas, A., & Rinaldo, A. (2024). E-detectors. New England Journal of
       Statistics in Data Science, 2(2).

    Examples
    --------
    >>> OnEDetector().name
    'e-detector 100000'
    """

    run_length: float = 100_000
    reference: int = 2_000
    delta: float = 0.05
    window: str | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"e-detector {self.run_length:.0f}" + (f" ({self.window})" if self.window else "")

    def decide(self, view: View, memory: Any) -> Decision:
        """Feed what arrived; retrain on an alarm."""
        watch = memory if memory is not None and memory.since == view.since else _Watch(view.since, np.zeros(0))
        losses = view.arrived()
        if watch.detector is None:
            pool = np.concatenate([watch.reference, losses])
            if len(pool) < self.reference:
                return Decision(Keep(), memory=_Watch(view.since, pool))
            first, losses = pool[: self.reference], pool[self.reference :]
            bounded = bool(first.min() >= 0 and first.max() <= 1)
            top = 1.0 if bounded else max(float(np.quantile(first, 0.99)), 1e-12)
            baseline = upper_bound(np.clip(first / top, 0, 1), self.delta)
            watch = _Watch(view.since, np.zeros(0), EDetector(min(baseline, 0.999), self.run_length), top)
        detector, alarm = watch.detector.feed(np.clip(losses / watch.top, 0, 1))
        after = _Watch(view.since, watch.reference, detector, watch.top)
        if alarm is None:
            return Decision(Keep(), memory=after)
        return Decision(Retrain(self.window), "the mean loss rose (e-detector)", memory=after)


_CLASSICAL = {"adwin": "ADWIN", "page_hinkley": "PageHinkley", "ddm": "binary.DDM", "kswin": "KSWIN"}


@dataclass(frozen=True)
class OnDetector:
    """
    Retrain on the alarm of a classical detector of the package river, as a baseline.

    These detectors do not bound their false alarms; they are here to be compared with.

    Parameters
    ----------
    kind : {"adwin", "page_hinkley", "ddm", "kswin"}
    settings : dict
        Passed to river.
    window : str, optional

    References
    ----------
    .. [1] Bifet, A., & Gavalda, R. (2007). Learning from time-changing data with adaptive
       windowing. SDM (ADWIN).
    .. [2] Page, E. S. (1954). Continuous inspection schemes. Biometrika, 41 (Page-Hinkley).
    .. [3] Gama, J., et al. (2004). Learning with drift detection. SBIA (DDM).

    Examples
    --------
    >>> OnDetector("adwin").name
    'adwin'
    """

    kind: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    window: str | None = None

    def __post_init__(self) -> None:
        """Check the kind."""
        if self.kind not in _CLASSICAL:
            raise AppError(f"rules: {self.kind!r} is not one of {', '.join(_CLASSICAL)}.")

    @property
    def name(self) -> str:
        """Name in tables."""
        settings = ", ".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        return self.kind + (f" {settings}" if settings else "") + (f" ({self.window})" if self.window else "")

    def _new(self) -> Any:
        try:
            from river import drift
            from river.drift import binary
        except ImportError as problem:
            raise MissingPackageError(
                f"rules: {self.kind!r} needs river, which is not installed. Hint: pip install 'mlwild[detectors]'."
            ) from problem
        made = binary.DDM if self.kind == "ddm" else getattr(drift, _CLASSICAL[self.kind])
        return made(**self.settings)

    def decide(self, view: View, memory: Any) -> Decision:
        """Feed what arrived; retrain on an alarm."""
        fresh = memory is None or memory.since != view.since
        # river's detectors change in place; memory must stay what it was
        detector = self._new() if fresh else copy.deepcopy(memory.detector)
        losses = view.arrived()
        if self.kind == "ddm":  # it counts errors: a loss above one half counts as one
            losses = (losses > 0.5).astype(float)
        alarm = False
        for loss in losses.tolist():
            detector.update(loss)
            if detector.drift_detected:
                alarm, detector = True, self._new()
                break
        after = _Watch(view.since, np.zeros(0), detector)
        return Decision(Retrain(self.window) if alarm else Keep(), f"{self.kind} alarm" * alarm, memory=after)
