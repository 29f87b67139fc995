"""The candidate's guard survives the drill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from mlwild.errors import AppError, DataError
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.trial import Drilled, Harm, Trial
from mlwild.wording import count, number

#: Chance that trips are called too many though they are as rare as the limit says.
ALPHA = 0.05


@dataclass(frozen=True)
class SurvivesDrill:
    """
    Under every fault of the drill every row is answered, and answers lose hardly more than a constant would.

    The candidate with its fallback chain and its guard meets fifteen faults at three severities in the rows that it is
    tried on, as in `mlwild drill`. It is red in six cases: a row gets no answer; under some fault answers lose more
    than the constant by `above_constant`; in more cells than `most_above` they lose more than the lesser of the
    constant's loss and their own without the fault by `above_clean`; in more cells than `most_missed` they lose so
    much more than an oracle would, the same guard told which values are wrong; rows without a fault trip the guard more
    often than `trips`; over all cells, intervals and sets hold in the median a share of outcomes that falls short of
    what they are to hold by more than `short`. Losses are held against their range: the loss's own where it is finite,
    else from its least value (if it has none, from what is lost less than on one row in a hundred without a fault) to
    what the constant's loss exceeds on one row in a hundred.

    A feature that nothing replaces is lost under some faults whatever the guard does; that is why not all cells have to
    be near the clean ones. What an oracle would not lose either, the guard did not find out.

    Parameters
    ----------
    above_constant : float
        Most that answers may lose above the constant, as a share of the range of the loss.
    above_clean : float
        Most that they may lose above what they lose without the fault, as a share of the same.
    most_above : float
        Share of cells (a fault at a severity) that may lose more than the lesser of the constant's loss and the clean
        one plus `above_clean`.
    most_missed : float
        Share of cells that may lose more than the lesser of the constant's loss and the greater of the clean one and an
        oracle's, that plus `above_clean`.
    trips : float
        Greatest share of rows without a fault at which the guard begins to distrust; red where chance does not explain
        more at 5 %, undecided where the rows cannot tell.
    short : float
        By how much the share of outcomes that intervals and sets hold may fall short, in the median over the cells.
    seeds : int
        Draws of each fault.
    rows : int
        Events below which nothing is told.
    owner : str
        Who is to be asked.

    Raises
    ------
    AppError
        If a limit is no share, or there is no seed or row to go by.

    References
    ----------
    .. [1] Basiri, A., et al. (2016). Chaos engineering. IEEE Software, 33(3), 35-41.

    Examples
    --------
    >>> SurvivesDrill().name, SurvivesDrill(above_constant=0.0).above_constant
    ('survives drill', 0.0)
    """

    above_constant: float = 0.02
    above_clean: float = 0.05
    most_above: float = 0.5
    most_missed: float = 0.25
    trips: float = 1e-4
    short: float = 0.1
    seeds: int = 1
    rows: int = 500
    owner: str = ""
    name: str = "survives drill"
    family: str = "operation"

    def __post_init__(self) -> None:
        """Check the limits."""
        for name in ("above_constant", "above_clean", "most_above", "most_missed", "trips", "short"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise AppError(f"tests: {name} of {self.name!r} is {value:g}, and needs to be a share from 0 to 1.")
        for name in ("seeds", "rows"):
            if getattr(self, name) < 1:
                raise AppError(f"tests: {name} of {self.name!r} is {getattr(self, name)}, and needs to be 1 at least.")

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate's guard."""
        if len(trial.events) < self.rows:
            few = f"{count(len(trial.events))} events are too few to drill it on; {count(self.rows)} are needed"
            return Outcome("underpowered", few, n=len(trial.events))
        try:
            return self._judged(trial.drilled(self.seeds))
        except DataError as problem:  # no guard could be learned from what was known then
            return Outcome("underpowered", str(problem), n=len(trial.events))

    def _judged(self, found: Drilled) -> Outcome:
        silent = [one for one in found.cells if one.available < 1]
        answered = [one for one in found.cells if math.isfinite(one.loss)]
        if not answered and not silent:
            return Outcome("underpowered", "under no fault was a row answered", n=found.clean_rows)
        worst = max(answered or silent, key=lambda one: one.loss - one.constant)
        near = self.above_clean * found.scale
        above = [one for one in answered if one.loss > min(one.constant, one.clean + near)]
        told = [one for one in above if math.isfinite(one.oracle)]
        missed = [one for one in told if one.loss > min(one.constant, max(one.clean, one.oracle) + near)]
        facts: dict[str, Any] = {
            "n": found.clean_rows,
            "estimate": (worst.loss - worst.constant) / (found.scale or 1.0),  # 0 where nothing was ever lost
            "limit": self.above_constant,
            "parts": tuple(_part(one) for one in found.cells),
        }
        said = self._said(found, worst, above, missed)
        if silent:
            one = min(silent, key=lambda one: one.available)
            return Outcome("fail", f"under {_named(one)} {1 - one.available:.1%} of rows got no answer", **facts)
        if facts["estimate"] > self.above_constant:
            much = f"the worst is more than {self.above_constant:.0%} of the range above the constant"
            return Outcome("fail", f"{said}; {much}", **facts)
        if len(above) > self.most_above * len(found.cells):
            many = f"those that lose more than without the fault are more than {self.most_above:.0%} of cells"
            return Outcome("fail", f"{said}; {many}", **facts)
        if len(missed) > self.most_missed * len(found.cells):
            many = f"those that lose more than an oracle, too, are more than {self.most_missed:.0%} of cells"
            return Outcome("fail", f"{said}; {many}", **facts)
        if found.trips > self.trips * found.clean_rows:
            sure = _exceeded(found.trips, found.clean_rows, self.trips)
            more = f"{said}: more than {number(self.trips)} of rows" if sure else f"{said}: these may be chance"
            return Outcome("fail" if sure else "underpowered", more, **facts)
        held = [one.held for one in found.cells if math.isfinite(one.held)]
        if held and median(held) < found.level - self.short:
            wanted = f"{median(held):.0%} of the outcomes, not {found.level:.0%}"
            return Outcome("fail", f"{said}; intervals and sets hold {wanted}", **facts)
        return Outcome("pass", said, **facts)

    def _said(self, found: Drilled, worst: Harm, above: Sequence[Harm], missed: Sequence[Harm]) -> str:
        return (
            f"at worst ({_named(worst)}) answers lose {number(worst.loss, 3)}, without the fault "
            f"{number(worst.clean, 3)}, and the constant {number(worst.constant, 3)}; in {len(above)} of "
            f"{len(found.cells)} cells they lose more than the constant, or than without the fault by "
            f"{self.above_clean:.0%} of the range of losses, in {len(missed)} so much more than an oracle would, too; "
            f"{count(found.clean_rows)} rows without a fault tripped "
            f"the guard {count(found.trips)} time{'' if found.trips == 1 else 's'}"
        )


def _exceeded(trips: int, rows: int, rate: float) -> bool:
    """Say whether so many trips would come with a chance of 5 % at most if they were as rare as the rate."""
    from scipy.stats import binom

    return bool(binom.sf(trips - 1, rows, rate) <= ALPHA)


def _named(one: Harm) -> str:
    return f"{one.fault}, {one.severity:.0%} of {one.of}"


def _part(one: Harm) -> dict[str, Any]:
    return {
        "fault": one.fault,
        "severity": one.severity,
        "of": one.of,
        "available": one.available,
        "loss": one.loss if math.isfinite(one.loss) else None,
        "oracle": one.oracle if math.isfinite(one.oracle) else None,
        "clean": one.clean,
        "constant": one.constant,
        "no_guard": one.bare if math.isfinite(one.bare) else None,
        "gain": one.gain if math.isfinite(one.gain) else None,
        "held": one.held if math.isfinite(one.held) else None,
        "n": one.n,
    }
