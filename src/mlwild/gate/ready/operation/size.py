"""The model is not too large."""

from __future__ import annotations

from dataclasses import dataclass

from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.ready.operation.latency import no_champion
from mlwild.gate.trial import Trial
from mlwild.wording import number


@dataclass(frozen=True)
class Size:
    """
    The pickled model is at most so large, or at most `times` as large as the champion.

    Parameters
    ----------
    most_mb : float, optional
        Limit in megabytes (a million bytes).
    times : float
        Greatest multiple of the champion's size, where there is no limit.
    owner : str
        Who is to be asked.

    Examples
    --------
    >>> Size(most_mb=20).name, Size().times
    ('size', 2.0)
    """

    most_mb: float | None = None
    times: float = 2.0
    owner: str = ""
    name: str = "size"
    family: str = "operation"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        none = "" if self.most_mb is not None else no_champion(trial)
        return published(trial.model) or none

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        size = trial.model.size / 1e6
        if self.most_mb is not None:
            limit, held = self.most_mb, f"the limit is {number(self.most_mb, 3)} MB"
        else:
            assert trial.champion is not None
            limit = self.times * trial.champion.size / 1e6
            theirs = number(trial.champion.size / 1e6, 3)
            held = f"the champion has {theirs} MB, and the limit is {number(self.times, 3)} times that"
        said = f"the pickled model has {number(size, 3)} MB; {held}"
        return Outcome("pass" if size <= limit else "fail", said, estimate=size, limit=limit)
