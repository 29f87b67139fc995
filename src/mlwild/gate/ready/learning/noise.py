"""Labels that are wrong are not learned by heart at the cost of new rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlwild.gate.bounds import ALPHA, at_most
from mlwild.gate.fitted import Fitted, decisions
from mlwild.gate.held import Held
from mlwild.gate.outcome import Outcome
from mlwild.gate.ready.code.sameness import published
from mlwild.gate.trial import Trial
from mlwild.wording import count, number

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelNoise:
    """
    With some training labels made wrong, the recipe believes the rest, or at least does not pass the noise on.

    A tenth of the training labels are replaced by another class (shuffled among themselves where labels are
    numbers) and the recipe is fitted again. **Memorised** is the share of these rows that are answered with the
    wrong label less the share answered with the right one (nearer to one or the other, for numbers). A model that
    memorises is not yet a bad one: forests and nearest neighbours do, and average it out. So what counts then is
    how much of the noise gets **through** to new rows: by how much the error rises there, as a share of what it
    would if a tenth of the new rows were answered wrongly themselves. An ideal learner's decisions do not change.
    Green if either is shown to be low (at half the level each), red if neither is.

    Parameters
    ----------
    share : float
        Share of the training labels that are made wrong.
    memorised : float
        Greatest share that is memorised; 0 means that at least as many rows are answered rightly as wrongly.
    through : float
        Greatest share of the noise that gets through to new rows where more is memorised. Of a fully grown tree
        about all, of one nearest neighbour 0.5 to 0.7, of a forest or of boosting 0.1 to 0.3.
    rows, learned : int
        New rows, and rows learned from, evenly spaced.
    seed : int
        Of the choice of rows.
    owner : str
        Who is to be asked.

    References
    ----------
    .. [1] Zhang, C., Bengio, S., Hardt, M., Recht, B., & Vinyals, O. (2017). Understanding deep learning requires
       rethinking generalization. ICLR.
    .. [2] Natarajan, N., et al. (2013). Learning with noisy labels. NeurIPS 26.

    Examples
    --------
    >>> LabelNoise().name, LabelNoise().through
    ('label noise', 0.6)
    """

    share: float = 0.1
    memorised: float = 0.0
    through: float = 0.6
    rows: int = 20_000
    learned: int = 20_000
    seed: int = 0
    owner: str = ""
    name: str = "label noise"
    family: str = "proxies"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        return published(trial.model)

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate's recipe."""
        learned = trial.learned.evenly(self.learned)
        flipped, labels = with_noise(learned, self.share, self.seed)
        if not len(flipped):
            return Outcome(
                "underpowered", f"{count(len(learned))} rows are too few to make labels wrong", n=len(learned)
            )
        noisy = trial.fit(learned, labels=labels)
        predicted = noisy.predict(learned.where(flipped).features)
        right = agrees(predicted, learned.labels[flipped], labels[flipped], noisy)
        what = "wrong labels learned by heart, less those seen through"
        heart = at_most(-right, self.memorised, margin=0.1, what=what, independent=True, alpha=ALPHA / 2)
        if heart.verdict == "pass":
            return heart
        found = self._passed_on(
            trial, noisy, learned, f"{number(heart.estimate, 2)} of {count(len(flipped))} wrong labels"
        )
        if found.verdict == "fail" and heart.verdict == "underpowered":
            return replace(found, verdict="underpowered", blocks_good=math.nan)
        return found

    def _passed_on(self, trial: Trial, noisy: Fitted, learned: Held, said: str) -> Outcome:
        """Judge by how much of the noise gets through to new rows."""
        rows = trial.events.evenly(self.rows)
        clean = errors(trial.fit(learned), rows)
        whole = self.share * float(np.average(if_answered_wrongly(clean, rows), weights=rows.weight))
        if whole <= 0:
            why = f"it learns {said} by heart, and is no better than chance on new rows: noise cannot cost anything"
            return Outcome("underpowered", why, n=len(rows))
        rise = (errors(noisy, rows) - clean) / whole
        what = "share of the noise that gets through to new rows"
        found = at_most(
            rise,
            self.through,
            margin=self.through / 2,
            what=what,
            weights=rows.weight,
            entities=rows.entity,
            alpha=ALPHA / 2,
        )
        return replace(found, said=f"it learns {said} by heart; {found.said}")


def with_noise(learned: Held, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """
    Return which labels were made wrong, and all labels.

    Only those count that did change: a shuffled number may fall where it was.
    """
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.choice(len(learned), size=round(share * len(learned)), replace=False))
    labels = np.array(learned.labels)
    if learned.classes is None:
        labels[picked] = rng.permutation(labels[picked])
    else:
        kinds = len(learned.classes)
        labels[picked] = (labels[picked] + rng.integers(1, kinds, len(picked))) % kinds
    return picked[labels[picked] != learned.labels[picked]], labels


def agrees(predicted: Floats, true: Floats, wrong: Floats, model: Fitted) -> Floats:
    """Return 1 where a prediction is the true label rather than the wrong one, -1 where it is the wrong one, else 0."""
    if model.classes is None:
        return np.asarray(np.sign(np.abs(predicted - wrong) - np.abs(predicted - true)))
    decided = decisions(predicted, model)
    return np.asarray((decided == true).astype(float) - (decided == wrong).astype(float))


def errors(model: Fitted, rows: Held) -> Floats:
    """Return the error of each row: 0 or 1, or the squared error."""
    predicted = model.predictions(rows)
    if model.classes is not None:
        return np.asarray(decisions(predicted, model) != rows.labels, dtype=np.float64)
    return np.asarray((predicted - rows.labels) ** 2)


def if_answered_wrongly(error: Floats, rows: Held) -> Floats:
    """Return by how much the error of each row would rise if it were answered with a wrong label."""
    if rows.classes is not None:
        kinds = len(rows.classes)
        return np.asarray(1.0 - error * kinds / (kinds - 1))
    spread = np.asarray(rows.labels, dtype=np.float64)
    return np.asarray(spread.var() + (spread - spread.mean()) ** 2 - error)
