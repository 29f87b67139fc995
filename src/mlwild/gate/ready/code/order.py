"""Predictions do not depend on the order of the rows, nor on how often one is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import RELATIVE, differing, greatest, published
from mlwild.gate.trial import Trial
from mlwild.wording import count, number


@dataclass(frozen=True)
class RowOrder:
    """
    Permuted rows get the permuted predictions.

    Parameters
    ----------
    rows : int
        Rows that are predicted.
    relative : float
        Greatest difference, as a share of the prediction: see `Deterministic`.
    seed : int
        Of the permutation.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Xie, X., et al. (2011). Testing and validating machine learning classifiers by metamorphic testing.
       Journal of Systems and Software, 84(4), 544-558.

    Examples
    --------
    >>> RowOrder().name, RowOrder().family
    ('row order', 'code')
    """

    rows: int = 2000
    relative: float = RELATIVE
    seed: int = 0
    owner: str = ""
    name: str = "row order"
    family: str = "code"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        rows = trial.events.evenly(self.rows)
        order = np.random.default_rng(self.seed).permutation(len(rows))
        straight, permuted = trial.model.predict(rows.features), trial.model.predict(rows.where(order).features)
        unlike = differing(straight[order], permuted, self.relative)
        said = f"{count(int(unlike.sum()))} of {count(len(rows))} rows get another answer in another order"
        if unlike.any():
            gap = number(greatest(straight[order], permuted), 3)
            picked = tuple(int(row) for row in rows.rows[order[unlike]][:5])
            return Outcome("fail", f"{said}, by up to {gap}", n=len(rows), rows=picked)
        return Outcome("pass", said, n=len(rows))


@dataclass(frozen=True)
class Duplicates:
    """
    A row that is asked for twice gets one answer; and rows that are learned twice teach nothing new.

    A recipe that learns every row twice sees the same world. Trees with a least size of leaf, nearest neighbours and
    anything that holds rows out at random will change somewhat: the limit is on how much.

    Parameters
    ----------
    rows, learned : int
        Rows that are predicted, and learned once and twice.
    most : float
        Greatest mean change of a prediction when every row is learned twice, as a share of the standard
        deviation of the predictions; see the test for what usual models do.
    relative : float
        Greatest difference of two answers to one row, as a share of the prediction: see `Deterministic`.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Xie, X., et al. (2011). Testing and validating machine learning classifiers by metamorphic testing.
       Journal of Systems and Software, 84(4), 544-558.

    Examples
    --------
    >>> Duplicates().name, Duplicates().family
    ('duplicates', 'code')
    """

    rows: int = 2000
    learned: int = 5000
    most: float = 1.0
    relative: float = RELATIVE
    owner: str = ""
    name: str = "duplicates"
    family: str = "code"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        rows = trial.events.evenly(self.rows)
        once = trial.model.predict(rows.features)
        twice = trial.model.predict(rows.where(np.repeat(np.arange(len(rows)), 2)).features)
        unlike = differing(np.repeat(once, 2, axis=0), twice, self.relative)
        if unlike.any():
            gap = number(greatest(np.repeat(once, 2, axis=0), twice), 3)
            said = (
                f"{count(int(unlike.sum()))} of {count(len(twice))} rows get another answer when every row is asked "
                f"for twice, by up to {gap}"
            )
            return Outcome("fail", said, n=len(twice))
        moved, spread = self._learned_twice(trial)
        share = moved / spread if spread else 0.0 if moved <= self.relative else float("inf")
        said = (
            f"rows asked for twice get one answer; where each is learned twice a prediction changes by "
            f"{number(moved, 3)}, {number(share, 2)} of the standard deviation of predictions; the limit is "
            f"{number(self.most, 3)}"
        )
        word = "pass" if share <= self.most else "fail"
        return Outcome(word, said, n=len(rows), estimate=share, limit=self.most)  # type: ignore[arg-type]

    def _learned_twice(self, trial: Trial) -> tuple[float, float]:
        """Return the mean change of a prediction, and the standard deviation of predictions."""
        rows, learned = trial.events.evenly(self.rows), trial.learned.evenly(self.learned)
        doubled = learned.where(np.repeat(np.arange(len(learned)), 2))
        one, two = (trial.fit(part).predict(rows.features) for part in (learned, doubled))
        return float(np.abs(one - two).mean()), float(one.std(axis=0).mean())
