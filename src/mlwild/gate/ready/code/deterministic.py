"""The same rows, recipe and seed give the same predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import RELATIVE, differing, greatest, published
from mlwild.gate.trial import Trial
from mlwild.wording import count, number


@dataclass(frozen=True)
class Deterministic:
    """
    Nothing is left to chance: data, features, choice of the model, fit and prediction come out the same twice.

    The data and the features are read twice, and so is the app's file; the recipe is fitted again with its seed
    and has to give the same predictions to the last bit; the model predicts the same rows twice; and a row alone
    gets the answer that it gets among others, to `relative`.

    Parameters
    ----------
    rows : int
        Rows that are predicted; a thirtieth of them alone.
    learned : int
        Rows that the recipe is fitted on again, evenly spaced.
    relative : float
        Greatest difference of a row alone and in a batch, as a share of the prediction (of the usual prediction
        where it is small). Predictions are float32, whose resolution is 1.2e-7, and sums over a batch may be
        taken in another order: 1e-6 leaves room for that and for nothing else.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Pineau, J., et al. (2021). Improving reproducibility in machine learning research. JMLR, 22(164).

    Examples
    --------
    >>> Deterministic().name, Deterministic().family
    ('deterministic', 'code')
    """

    rows: int = 2000
    learned: int = 20_000
    relative: float = RELATIVE
    owner: str = ""
    name: str = "deterministic"
    family: str = "code"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        rows = trial.events.evenly(self.rows)
        for said in (*_read(trial), *self._predicted(trial), *self._fitted(trial)):
            return Outcome("fail", said, n=len(rows))
        said = (
            f"data and features of {count(trial.reread().rows)} rows read twice, {count(len(rows))} rows predicted "
            "twice, and the recipe fitted twice: all the same to the last bit"
        )
        return Outcome("pass", said, n=len(rows))

    def _predicted(self, trial: Trial) -> Iterator[str]:
        """Yield what differs when the same model predicts the same rows again, and each alone."""
        rows = trial.events.evenly(self.rows)
        first, second = (trial.model.predict(rows.features) for _ in range(2))
        other = int(differing(first, second, 0.0).sum())
        if other:
            gap = number(greatest(first, second), 3)
            yield (
                f"the same model answers {count(other)} of {count(len(rows))} rows otherwise when it is asked again, "
                f"by up to {gap}: something is drawn at random while it predicts"
            )
            return
        few = np.unique(np.linspace(0, len(rows) - 1, max(min(len(rows), self.rows // 30), 1)).round().astype(int))
        alone = np.concatenate(
            [trial.model.predict(rows.where(few[place : place + 1]).features) for place in range(len(few))]
        )
        unlike = differing(first[few], alone, self.relative)
        if unlike.any():
            gap = number(greatest(first[few], alone), 3)
            yield (
                f"{count(int(unlike.sum()))} of {count(len(few))} rows get another answer alone than in a batch of "
                f"{count(len(rows))}, by up to {gap}: the model looks at the other rows of the batch"
            )

    def _fitted(self, trial: Trial) -> Iterator[str]:
        """Yield what differs when the recipe is fitted again."""
        learned, rows = trial.learned.evenly(self.learned), trial.events.evenly(self.rows)
        kept, fresh = (trial.fit(learned, fresh=fresh).predict(rows.features) for fresh in (False, True))
        other = int(differing(kept, fresh, 0.0).sum())
        if not other:
            return
        again = trial.fit(learned, fresh=True).predict(rows.features)
        gap = f"{count(other)} of {count(len(rows))} predictions differ, by up to {number(greatest(kept, fresh), 3)}"
        if differing(fresh, again, 0.0).any():
            yield f"fitted twice on the same rows with one seed, {gap}: the recipe draws at random without its seed"
        else:
            yield (
                f"two fits now agree, but not with the one that was kept: {gap}. Something that the fit reads besides "
                "its rows has changed (a file, a setting), or the store is from another machine: delete it"
            )


def _read(trial: Trial) -> Iterator[str]:
    changed = trial.reloaded()
    if changed:
        yield f"{changed}: the choice is left to chance"
    differs = trial.reread().differs
    if differs:
        more = f" ({len(differs)} differences in all)" if len(differs) > 1 else ""
        yield f"read twice, the data are not the same: {differs[0]}{more}"
