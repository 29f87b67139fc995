"""The seed decides little of what the model answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.bounds import at_most
from mlwild.gate.fitted import Fitted
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.trial import Trial
from mlwild.wording import number

Floats = NDArray[np.float64]

#: A share below this is rounding.
DUST = 1e-12


@dataclass(frozen=True)
class SeedStability:
    """
    The same recipe with other seeds gives about the same answers.

    What is measured is the variance of a row's prediction over seeds, as a share of the squared error of the
    predictions (Brier's for probabilities and classes): an average over many seeds would lose exactly that
    much less. The loss of the app plays no part, so that the share means the same for every app. A recipe above the
    limit is not wrong, but the model that goes live is one ticket of a lottery: average over seeds, or bag.

    Parameters
    ----------
    at_most : float
        Greatest share. Boosting, networks and forests of 50 trees lie at 0 to 0.03, ten bagged trees at 0.08; three
        bagged trees at 0.2 and one at 0.47 do not pass.
    seeds : int
        Seeds, at least 2.
    rows, learned : int
        Rows that are predicted and learned from, evenly spaced.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Krogh, A., & Vedelsby, J. (1995). Neural network ensembles, cross validation, and active learning.
       NeurIPS 7, 231-238, eq. 6.
    .. [2] D'Amour, A., et al. (2022). Underspecification presents challenges for credibility in modern machine
       learning. JMLR, 23(226).

    Examples
    --------
    >>> SeedStability().name, SeedStability().at_most
    ('seed stability', 0.15)
    """

    at_most: float = 0.15
    seeds: int = 3
    rows: int = 20_000
    learned: int = 20_000
    owner: str = ""
    name: str = "seed stability"
    family: str = "proxies"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate's recipe."""
        rows, learned = trial.events.evenly(self.rows), trial.learned.evenly(self.learned)
        fitted = [soft(trial.fit(learned, seed=trial.seed + place)) for place in range(self.seeds)]
        predicted = np.stack([as_matrix(one.predictions(rows), one) for one in fitted])
        # (n,): unbiased variance over seeds; mean squared error of one seed
        variance = predicted.var(axis=0, ddof=1).sum(axis=1)
        error = ((predicted - truth(rows, fitted[0])) ** 2).sum(axis=2).mean(axis=0)
        variance[variance < DUST * error.mean()] = 0.0
        if not error.any():
            return Outcome("pass", "no seed makes any error", n=len(rows), estimate=0.0, limit=self.at_most)
        # The ratio of two means: one minus it is what an average over seeds would keep of the error.
        share = np.divide(variance, error, out=np.zeros_like(variance), where=error > 0)
        what = f"share of the squared error that is the seed's own ({self.seeds} seeds)"
        weights = error * rows.weight
        found = at_most(share, self.at_most, margin=self.at_most / 2, what=what, weights=weights, entities=rows.entity)
        if found.verdict != "fail":
            return found
        return replace(
            found, said=f"{found.said}; average over seeds would keep {number(1 - found.estimate, 2)} of the error"
        )


def soft(model: Fitted) -> Fitted:
    """Return a model of classes that tells probabilities, if it can: near the threshold a class turns on little."""
    able = model.ask == "class" and model.classes is not None and hasattr(model.raw, "predict_proba")
    return replace(model, ask="probabilities") if able else model


def as_matrix(predicted: Floats, model: Fitted) -> Floats:
    """Return predictions as a column a class, or one column of values."""
    if model.ask == "value" or model.classes is None:
        return predicted[:, None]
    if model.ask == "probabilities":
        return predicted
    if model.ask == "probability":
        return np.asarray(np.column_stack([1 - predicted, predicted]) / np.sqrt(2))
    return np.asarray((np.arange(len(model.classes))[None, :] == predicted[:, None]) / np.sqrt(2))


def truth(rows: Held, model: Fitted) -> Floats:
    """Return labels in the form of `as_matrix`."""
    if model.ask == "value" or model.classes is None:
        return np.asarray(rows.labels, dtype=np.float64)[:, None]
    hit = np.asarray(np.arange(len(model.classes))[None, :] == rows.labels[:, None], dtype=np.float64)
    return hit if model.ask == "probabilities" else hit / np.sqrt(2)
