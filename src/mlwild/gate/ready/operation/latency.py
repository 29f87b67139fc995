"""One row is answered in time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.fitted import Fitted
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.trial import Trial
from mlwild.stats.quantile_bound import quantile_bound
from mlwild.wording import count, number

Floats = NDArray[np.float64]

ALPHA, QUANTILE = 0.05, 0.99
#: Rounds of timing: a second one only where the first cannot tell; each has its share of alpha. Calls to warm up.
ROUNDS, WARM = 2, 5


@dataclass(frozen=True)
class Latency:
    """
    The slowest answer in a hundred is not too slow: the 99 % quantile of the time that the model takes for one row.

    Held against a limit in milliseconds, or, where none is given, against the champion: at most `times` its own.
    Bounds are exact, by order statistics. Against the champion each row is timed in turn for both, the better of
    two calls, so that what else the machine does counts for neither.

    Parameters
    ----------
    p99_ms : float, optional
        Limit in milliseconds, on this machine.
    times : float
        Greatest multiple of the champion's, where there is no limit.
    rows : int
        Calls of a round, at least 437: fewer give no bound at a quarter of 5 %.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Hahn, G. J., & Meeker, W. Q. (1991). Statistical intervals, section 5.2. Wiley.

    Examples
    --------
    >>> Latency(p99_ms=50).name, Latency().times
    ('latency', 2.0)
    """

    p99_ms: float | None = None
    times: float = 2.0
    rows: int = 450
    owner: str = ""
    name: str = "latency"
    family: str = "operation"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        none = "" if self.p99_ms is not None else no_champion(trial)
        return published(trial.model) or none

    def judge(self, trial: Trial) -> Outcome:
        """Time the candidate."""
        rows = trial.events.where(np.arange(self.rows) % len(trial.events))
        frames = [rows.where(np.array([place])).features for place in range(len(rows))]
        models = [trial.model] if self.p99_ms is not None or trial.champion is None else [trial.model, trial.champion]
        for model in models:
            for frame in frames[:WARM]:
                model.predict(frame)
        taken = np.empty((len(models), 0))
        found = Outcome("underpowered", "no call was timed")
        for _ in range(ROUNDS):
            taken = np.concatenate([taken, _timed(models, frames, best_of=len(models))], axis=1)
            found = self._judged(taken)
            if found.verdict != "underpowered":
                break
        return found

    def _judged(self, taken: Floats) -> Outcome:
        """Judge the milliseconds of the candidate, and of the champion if there is a second row."""
        alpha = ALPHA / ROUNDS / len(taken)  # shared by all bounds that have to hold
        low, high = quantile_bounds(taken[0], alpha)
        estimate = float(np.quantile(taken[0], QUANTILE))
        said = f"99 of 100 rows are answered within {number(estimate, 3)} ms"
        said += f", with 95% confidence within {number(high, 3)} ms" if math.isfinite(high) else ""
        if len(taken) == 1:
            assert self.p99_ms is not None
            least = most = self.p99_ms
            said += f"; the limit is {number(self.p99_ms, 3)} ms"
        else:
            least, most = (self.times * bound for bound in quantile_bounds(taken[1], alpha))
            theirs = number(float(np.quantile(taken[1], QUANTILE)), 3)
            said += f"; the champion takes {theirs} ms, and the limit is {number(self.times, 3)} times that"
        n = taken.shape[1]
        facts: dict[str, Any] = {"n": n, "estimate": estimate, "low": low, "high": high, "limit": least}
        if high <= least:
            return Outcome("pass", said, **facts)
        if low > most:
            return Outcome("fail", said, **facts)
        return Outcome("underpowered", f"{said}: {count(n)} calls cannot tell", **facts)


def quantile_bounds(values: Floats, alpha: float) -> tuple[float, float]:
    """
    Return bounds of the 99 % quantile, each wrong with chance at most `alpha`; infinite where values are too few.

    Examples
    --------
    >>> quantile_bounds(np.arange(1.0, 300.0), 0.05)
    (293.0, 299.0)
    """
    # From below it is the 1 % quantile of the values turned round.
    low = -quantile_bound(-values, 1 - QUANTILE, level=1 - alpha).high
    return low, quantile_bound(values, QUANTILE, level=1 - alpha).high


def _timed(models: list[Fitted], frames: list[Any], best_of: int) -> Floats:
    """Return milliseconds for each model and row; models take turns."""
    taken = np.full((len(models), len(frames)), math.inf)
    for place, frame in enumerate(frames):
        for _ in range(best_of):
            for which, model in enumerate(models):
                began = time.perf_counter()
                model.predict(frame)
                taken[which, place] = min(taken[which, place], 1e3 * (time.perf_counter() - began))
    return taken


def no_champion(trial: Trial) -> str:
    """Say that there is nothing to hold a candidate against, and no limit; or nothing."""
    if trial.champion is None or trial.champion.raw is None:
        return "no limit is given, and there is no champion to hold it against"
    return ""
