"""No declared group is left behind, and probabilities mean what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlwild.gate.bounds import BETA, at_most, judged
from mlwild.gate.outcome import Outcome, of_judged, worst
from mlwild.gate.ready.paired import loss_difference, mean_loss, parts_of
from mlwild.gate.trial import Trial

#: Classes of stated probability.
BINS = 10
#: Losses of numbers that are least at the mean.
OF_MEANS = ("squared", "poisson", "rmse")


@dataclass(frozen=True)
class GroupsNotWorse:
    """
    No declared group loses more than a limit, or than it did under the champion.

    Parameters
    ----------
    than : float, optional
        Mean loss that no group may exceed. Without it each group is held against the champion's loss on it.
    slack : float
        Without `than`: by how much of the champion's loss a group may be worse.
    margin : float
        A group that keeps the limit with so much of it to spare must not block.
    fewest : int
        Groups with fewer rows are underpowered, if `than` is given; else left out.
    owner : str
    """

    than: float | None = None
    slack: float = 0.1
    margin: float = 0.1
    fewest: int = 100
    owner: str = ""
    name: str = "groups not worse"
    family: str = "slices"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        if not trial.events.groups:
            return "the app declares no groups"
        if self.than is None and trial.champion is None:
            return "nothing was live before it"
        enough = self.than is not None or parts_of(trial.events, self.fewest)
        return "" if enough else f"no group has {self.fewest} rows"

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        outcomes, facts = [], []
        parts = parts_of(trial.events, self.fewest if self.than is None else 1)
        beta = BETA / len(parts)
        for name, part in parts:
            if self.than is None:
                assert trial.champion is not None
                theirs = trial.champion.predictions(part)
                scale = abs(mean_loss(trial.loss, part, theirs))
                found = loss_difference(trial.loss, part, trial.model.predictions(part), theirs)
                what = f"{name}: its loss less the champion's"
                made = judged(found, self.slack * scale, margin=self.margin * scale, what=what, beta=beta)
            elif len(part) < self.fewest:
                said = f"{name}: {len(part)} rows are too few; it takes {self.fewest}"
                made = Outcome("underpowered", said, n=len(part), limit=self.than)
            else:
                lost, margin = trial.model.losses(part), self.margin * abs(self.than)
                made = at_most(
                    lost,
                    self.than,
                    margin=margin,
                    what=f"{name}: its loss",
                    weights=part.weights,
                    entities=part.entity,
                )
            outcomes.append(made)
            facts.append(
                {"group": name, "n": made.n, "estimate": made.estimate, "high": made.high, "limit": made.limit}
            )
        limit = "the champion allows" if self.than is None else f"{self.than:g}"
        # A limit of the user's own is kept by every group, or not shown to be.
        of = of_judged if self.than is None else worst
        left = len(parts_of(trial.events, 1)) - len(parts)
        more = f"; {left} more {'has' if left == 1 else 'have'} fewer than {self.fewest} rows" if left else ""
        found_ = of(outcomes, "group", all_said=f"none of {len(outcomes)} groups loses more than {limit}{more}")
        return replace(found_, parts=tuple(facts))


@dataclass(frozen=True)
class Calibrated:
    """
    Stated probabilities are frequencies: the mean gap between them is at most a limit.

    Rows are put into ten bins by stated probability. On one half of them the sign of each bin's gap is learned,
    on the other the mean gap with that sign is judged: so chance does not add to it. For numbers the bias of the
    mean is judged, in standard deviations of the labels.

    Parameters
    ----------
    within : float
        Limit of the mean gap, as a probability (or in standard deviations).
    margin : float
        A model whose gap is smaller by this must not be blocked.
    owner : str

    References
    ----------
    .. [1] Roelofs, R., et al. (2022). Mitigating bias in calibration error estimation. AISTATS.

    Examples
    --------
    >>> Calibrated(within=0.03).within
    0.03
    """

    within: float = 0.1
    margin: float = 0.05
    owner: str = ""
    name: str = "calibration"
    family: str = "slices"

    def objection(self, trial: Trial) -> str:
        """Say why it does not apply."""
        if trial.model.ask == "value" and trial.loss.name not in OF_MEANS:
            return f"{trial.loss.name} asks for no mean, and its best answer need not have the mean of the labels"
        return "a class alone states no probability" if trial.model.ask == "class" else ""

    def judge(self, trial: Trial) -> Outcome:
        """Judge the candidate."""
        rows = trial.events
        predicted = trial.model.predictions(rows)
        if trial.model.ask == "value":
            scale = float(rows.labels.std()) or 1.0
            gap, learn = (predicted - rows.labels) / scale, np.zeros(len(rows), np.int64)
        elif predicted.ndim == 2:
            stated = predicted.max(axis=1)
            gap = stated - (predicted.argmax(axis=1) == rows.labels)
            learn = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
        else:
            gap = predicted - (rows.labels > 0.5)
            learn = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
        first = np.arange(len(rows)) % 2 == 0
        sums = np.bincount(learn[first], gap[first], BINS)
        signed = np.sign(sums)[learn[~first]] * gap[~first]
        what = "bias in standard deviations" if trial.model.ask == "value" else "mean gap of probability and frequency"
        weights = None if np.ptp(rows.weight) == 0 else rows.weight[~first]
        whom = None if rows.entity is None else rows.entity[~first]
        return at_most(signed, self.within, margin=self.margin, what=what, weights=weights, entities=whom)
