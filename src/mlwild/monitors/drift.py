"""Monitors of shift: predictions, features, gaps and new categories against the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import AppError
from mlwild.monitors.scene import Scene
from mlwild.monitors.signal import Signal, silent
from mlwild.monitors.sketches import ColumnMove
from mlwild.stats.distances import jensen_shannon, psi
from mlwild.stats.sorted_columns import kolmogorov_smirnov, wasserstein
from mlwild.wording import number

Floats = NDArray[np.float64]
Statistic = Literal["psi", "ks", "wasserstein", "jensen_shannon"]


def _psi(move: ColumnMove) -> float:
    """Return the stability index less what chance makes of it with so many rows."""
    found = psi(move.reference, move.window)
    return found.value - found.null


def _ks(move: ColumnMove) -> float:
    return float(np.abs(_ahead(move)).max(initial=0.0))


def _wasserstein(move: ColumnMove) -> float:
    """Return the distance of the two sides with every bin at its own mean; a lower bound of the exact one."""
    from scipy.stats import wasserstein_distance

    if move.categorical:  # categories have no order: what must move is half the difference of shares
        shares = move.reference / move.reference.sum() - move.window / move.window.sum()
        return float(np.abs(shares).sum() / 2)
    sides = ((move.reference, move.reference_sums), (move.window, move.window_sums))
    places = [sums[rows > 0] / rows[rows > 0] for rows, sums in sides]
    return float(wasserstein_distance(*places, *(rows[rows > 0] for rows, _ in sides)))


def _ahead(move: ColumnMove) -> Floats:
    old, new = (np.cumsum(side) / side.sum() for side in (move.reference, move.window))
    return np.asarray(old - new)


_STATISTICS: dict[str, Callable[[ColumnMove], float]] = {
    "psi": _psi,
    "ks": _ks,
    "wasserstein": _wasserstein,
    "jensen_shannon": lambda move: jensen_shannon(move.reference, move.window),
}
_WORDS = {"psi": "PSI", "ks": "KS", "wasserstein": "Wasserstein", "jensen_shannon": "Jensen-Shannon"}


def _checked_statistic(statistic: str) -> None:
    if statistic not in _STATISTICS:
        raise AppError(f"monitors: {statistic!r} is not one of {', '.join(_STATISTICS)}.")


@dataclass(frozen=True)
class FeatureDrift:
    """
    How far the features moved, by counts in bins of equal mass.

    Parameters
    ----------
    statistic : {"psi", "ks", "wasserstein", "jensen_shannon"}
        The stability index is taken less its mean under no shift; Wasserstein's distance is in standard
        deviations of the rows before the first cutoff.
    over : {"worst", "mean"}
        Column that counts: the one that moved most, or the mean of all.

    References
    ----------
    .. [1] Rabanser, S., Gunnemann, S., & Lipton, Z. C. (2019). Failing loudly: an empirical study of
       methods for detecting dataset shift. NeurIPS.

    Examples
    --------
    >>> FeatureDrift().name, FeatureDrift("ks", over="mean").name
    ('worst feature (PSI)', 'mean feature (KS)')
    """

    statistic: Statistic = "psi"
    over: Literal["worst", "mean"] = "worst"
    kind: str = "shift"

    def __post_init__(self) -> None:
        """Check the words."""
        _checked_statistic(self.statistic)
        if self.over not in ("worst", "mean"):
            raise AppError(f"monitors: {self.over!r} is not 'worst' or 'mean'.")

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.over} feature ({_WORDS[self.statistic]})"

    def signal(self, scene: Scene) -> Signal:
        """Return how far the features moved."""
        of = _STATISTICS[self.statistic]
        moves = {move.name: of(move) for move in scene.moved if move.comparable}
        if not moves:
            return silent("no feature has values on both sides")
        worst = max(moves, key=lambda name: moves[name])
        value = moves[worst] if self.over == "worst" else float(np.mean(list(moves.values())))
        return Signal(value, why=f"most in {worst!r}: {number(moves[worst], 2)}")


@dataclass(frozen=True)
class PredictionDrift:
    """
    How far the predictions moved: exact, from sorted predictions; of several classes the worst.

    Parameters
    ----------
    statistic : {"ks", "wasserstein", "psi", "jensen_shannon"}
        The last two over twenty bins of equal mass of the reference.

    Examples
    --------
    >>> PredictionDrift().name
    'predictions (KS)'
    """

    statistic: Statistic = "ks"
    kind: str = "shift"

    def __post_init__(self) -> None:
        """Check the word."""
        _checked_statistic(self.statistic)

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"predictions ({_WORDS[self.statistic]})"

    def signal(self, scene: Scene) -> Signal:
        """Return how far the predictions moved."""
        if not len(scene.reference.predictions) or not len(scene.window.predictions):
            return silent("a side has no prediction")
        old = scene.remember("sorted predictions", lambda: _ascending(scene.reference.predictions))
        new = scene.remember("sorted predictions", lambda: _ascending(scene.window.predictions), of_reference=False)
        return Signal(max(self._distance(before, after) for before, after in zip(old, new, strict=True)))

    def _distance(self, old: Floats, new: Floats) -> float:
        if self.statistic == "ks":
            return kolmogorov_smirnov(old, new)[0]
        if self.statistic == "wasserstein":
            spread = float(old.std())
            return wasserstein(old, new) / spread if spread > 0 else float(wasserstein(old, new) > 0)
        edges = np.unique(old[np.arange(1, 20) * len(old) // 20])
        counts = [
            np.diff(np.searchsorted(side, edges, side="right"), prepend=0, append=len(side)) for side in (old, new)
        ]
        return _STATISTICS[self.statistic](ColumnMove("", counts[0], counts[1], 0, 0, 0, np.zeros(0), np.zeros(0)))


def _ascending(predictions: Floats) -> list[Floats]:
    """Return predictions in order, class by class."""
    return [np.sort(column) for column in np.atleast_2d(predictions.T)]


@dataclass(frozen=True)
class Missingness:
    """
    By how much the share of missing values moved, in the column where it moved most.

    Examples
    --------
    >>> Missingness().name
    'missing values'
    """

    name: str = "missing values"
    kind: str = "shift"

    def signal(self, scene: Scene) -> Signal:
        """Return the greatest change of a share of missing values."""
        moves = {}
        for move in scene.moved:
            n = int(move.reference.sum()) + move.missing_reference
            m = int(move.window.sum()) + move.missing_window
            if n and m:
                moves[move.name] = abs(move.missing_window / m - move.missing_reference / n)
        if not moves:
            return silent("a side has no rows")
        worst = max(moves, key=lambda name: moves[name])
        return Signal(moves[worst], why=f"most in {worst!r}: {moves[worst]:.1%}" if moves[worst] else "")


@dataclass(frozen=True)
class NewCategories:
    """
    Share of rows with a category that was never seen before the vintage was made, in the worst column.

    Examples
    --------
    >>> NewCategories().name
    'new categories'
    """

    name: str = "new categories"
    kind: str = "shift"

    def signal(self, scene: Scene) -> Signal:
        """Return the greatest share of new categories."""
        words = [move for move in scene.moved if move.categorical]
        if not words:
            return silent("no feature holds categories")
        shares = {move.name: move.new / max(int(move.window.sum()), 1) for move in words}
        worst = max(shares, key=lambda name: shares[name])
        return Signal(shares[worst], why=f"most in {worst!r}: {shares[worst]:.1%}" if shares[worst] else "")
